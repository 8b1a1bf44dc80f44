#![doc = "config"]
