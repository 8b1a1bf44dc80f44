"""Prints a file's YAML documents, or its Terraform blocks, as JSON."""

import json
import sys

import hcl2
import yaml

path = sys.argv[1]
with open(path, encoding="utf-8") as file:
    if path.endswith(".tf"):
        options = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
        found = hcl2.load(file, serialization_options=options)
    else:
        found = list(yaml.safe_load_all(file))
json.dump(found, sys.stdout)
