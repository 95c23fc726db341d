"""PURE. Numbers that an agent never dials unless told to: satellite, premium and emergency ranges.

A list of the ranges that toll fraud likes best, not of all that cost money: an allow-list comes first, this
list only saves one that is too wide. Sources: ITU-T E.164 assigned country codes; national numbering plans.
"""

from __future__ import annotations

SATELLITE_AND_GLOBAL = ("+870*", "+878*", "+881*", "+882*", "+883*", "+888*", "+979*", "+808*")
"""Inmarsat, personal numbers, satellite phones, international networks, premium and shared-cost services."""

PREMIUM = (
    *("+1900*", "+1976*"),
    *("+3115*", "+31900*", "+31906*", "+31909*"),
    *("+3290*", "+3389*", "+34803*", "+34806*", "+34807*", "+34905*", "+35315*", "+39892*", "+39899*"),
    *("+41900*", "+41901*", "+41906*", "+43900*", "+43930*", "+449*", "+4487*", "+4590*"),
    *("+46900*", "+46939*", "+46944*", "+47820*", "+4870*", "+49137*", "+49900*"),
    *("+61190*", "+64900*", "+81990*"),
)
"""National premium-rate ranges."""

EMERGENCY = ("110", "111", "112", "118", "119", "911", "999")
"""Whole numbers, not prefixes. Nobody who answers there is helped by a voice model."""

BUILT_IN_DENIED = (*SATELLITE_AND_GLOBAL, *PREMIUM, *EMERGENCY)
