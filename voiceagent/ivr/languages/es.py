"""PURE. Spanish."""

from __future__ import annotations

from voiceagent.ivr.languages.table import Language, in_order, numbers, phrases

_UNITS = ("uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve")
_TENS = ("treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa")
_TWENTIES = ("veinte", "veintiuno|veintiún", *(f"veinti{unit}" for unit in _UNITS[1:]))

SPANISH = Language(
    tag="es",
    name="Spanish",
    sorry="Perdón, no le he entendido.",
    nothing_heard="Perdón, no he oído nada.",
    idle=("¿Sigue ahí?", "No le oigo. ¿Sigue al teléfono?"),
    impossible="Perdón, eso no es posible.",
    queue_position="Usted es el número {position} en la cola.",
    broken="Lo siento, algo ha fallado por nuestra parte.",
    closing="Lo siento, tengo que terminar esta llamada. Por favor, vuelva a llamar. Adiós.",
    date="{day} de {month} de {year}",
    months=(
        *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre"),
        *("octubre", "noviembre", "diciembre"),
    ),
    signs={
        "arroba": "@",
        "at": "@",
        "punto": ".",
        "guion": "-",
        "guión": "-",
        "guion bajo": "_",
        "guión bajo": "_",
        "raya": "-",
    },
    press="Pulse {keys}.",
    press_one="{key} para {name}",
    press_yes_no="Pulse 1 para sí, 2 para no.",
    type_digits="Marque los números en su teléfono, por favor.",
    type_digits_until="Marque los números en su teléfono y después {end}, por favor.",
    keys={"#": "almohadilla", "*": "asterisco"},
    read_back="He entendido {value}. ¿Es correcto?",
    expect_yes_no="Se espera sí o no.",
    expect_one_of="Se espera una de: {phrases}.",
    expect_digits="Se esperan {count} dígitos.",
    expect_digits_range="Se esperan de {least} a {most} dígitos.",
    expect_anything="Se espera cualquier respuesta, por ejemplo: {phrases}.",
    yes=phrases(
        *("sí", "claro", "correcto", "exacto", "exactamente", "vale", "okay", "ok", "de acuerdo", "bueno"),
        *("por supuesto", "cierto", "eso es", "está bien", "cómo no", "por qué no", "efectivamente"),
    ),
    no=phrases(
        *("no", "nunca", "incorrecto", "falso", "tampoco", "para nada", "no es correcto", "no es exacto"),
        *("no está bien", "no exactamente", "no es cierto", "no de acuerdo", "no estoy de acuerdo"),
    ),
    numbers=numbers(
        {
            0: "cero",
            1: "uno|un|una",
            **in_order("dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", start=2),
            **in_order("once", "doce", "trece", "catorce", "quince", start=11),
            **in_order("dieciséis", "diecisiete", "dieciocho", "diecinueve", start=16),
            **in_order(*_TWENTIES, start=20),
            **{30 + 10 * at: ten for at, ten in enumerate(_TENS)},
            **{
                30 + 10 * at + unit: f"{ten} y {word}"
                for at, ten in enumerate(_TENS)
                for unit, word in enumerate(_UNITS, 1)
            },
        }
    ),
    repeats={"doble": 2, "triple": 3},
    fillers=frozenset(
        ("es", "el", "la", "mi", "numero", "y", "eh", "este", "por", "favor", "luego", "almohadilla")
    ),
    back_channel=phrases(
        *("mhm", "hm", "hmm", "mm", "eh", "ah", "oh", "ajá", "aha", "ya", "ya veo", "entiendo", "bien"),
        *("sí", "vale", "okay", "ok", "claro", "bueno", "de acuerdo", "muy bien", "está bien", "perfecto"),
    ),
)
