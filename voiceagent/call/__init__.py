"""The call handler: joins a leg, a flow and a realtime session, and gives every call one outcome."""
