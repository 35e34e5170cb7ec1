"""What files look like that other programs wrote: headers, suffixes, lists in other orders."""
