package install

import "regexp"

// releaseVersion is the one form in which a release has its version: it is part of file
// names, and of what is compared.
var releaseVersion = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z]+([.-][0-9A-Za-z]+){0,8})?$`)
