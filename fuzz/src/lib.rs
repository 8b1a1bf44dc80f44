#![doc = "fuzz"]
