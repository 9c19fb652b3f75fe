"""Many runs: their list, the engines that work it off, how far they are."""
