"""The commands of the `stembridge` program, one module each; imported only when called, so that --help is instant."""
