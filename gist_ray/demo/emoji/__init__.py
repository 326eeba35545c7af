"""A data set of real pictures from npm packages: emoji of several vendors with official names."""
