#![doc = "wgd"]
