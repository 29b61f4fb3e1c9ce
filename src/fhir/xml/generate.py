#!/usr/bin/env python3
"""Writes r4.txt, the table that FHIR XML is read and written by.

Input: the JSON schema of FHIR R4 (4.0.1), `fhir.schema.json` in
https://hl7.org/fhir/R4/fhir.schema.json.zip. It lists the elements of each type in the order of
their definitions, which is the order that XML demands.

    python3 generate.py fhir.schema.json > r4.txt

One line a type: its name, `!` behind that of a resource, then its elements in order as name:kind,
`*` behind the kind of one that may repeat. `value[x]` stands for an element of any type that an
extension may have, in the order of extensions. Kinds: `s` a primitive that JSON writes as a string, `n` as
a number, `b` as true or false, `x` the XHTML of a narrative, `r` any resource; else another type.
"""

import json
import sys


def kind(definition, definitions):
    reference = definition.get("$ref", "").rsplit("/", 1)[-1]
    if reference == "xhtml":
        return "x"
    if reference == "ResourceList":
        return "r"
    if reference:
        target = definitions[reference]
        if "properties" in target:
            return reference
        definition = target
    return {"number": "n", "boolean": "b"}.get(definition.get("type"), "s")


def line(name, definition, definitions):
    elements = definition["properties"]
    # ExampleScenario has an element of that name.
    is_resource = "const" in elements.get("resourceType", {})
    told = [name + ("!" if is_resource else "")]
    for element, told_as in elements.items():
        # Extensions of primitives follow from the primitives.
        if "const" in told_as or element.startswith("_"):
            continue
        many = told_as.get("type") == "array"
        told.append(f"{element}:{kind(told_as['items'] if many else told_as, definitions)}"
                    + ("*" if many else ""))
    return " ".join(told)


def shorten(told, open_types):
    """Puts `value[x]` in the place of an element of every open type, where all of them stand."""
    words = told.split(" ")
    for at, word in enumerate(words):
        first, kind_of_first = open_types[0]
        element, _, rest = word.partition(":")
        if not element.endswith(first) or rest != kind_of_first:
            continue
        stem = element[: -len(first)]
        run = [f"{stem}{suffix}:{kind}" for suffix, kind in open_types]
        if stem and words[at : at + len(run)] == run:
            return shorten(" ".join(words[:at] + [f"{stem}[x]"] + words[at + len(run) :]), open_types)
    return told


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        definitions = json.load(file)["definitions"]
    lines = {
        name: line(name, definition, definitions)
        for name, definition in definitions.items()
        if "properties" in definition
    }
    values = [word.partition(":") for word in lines["Extension"].split(" ")[4:]]
    open_types = [(element.removeprefix("value"), kind) for element, _, kind in values]
    for name, told in lines.items():
        # The extension itself is where the list stands in full.
        print(told if name == "Extension" else shorten(told, open_types))


main()
