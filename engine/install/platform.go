package install

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// Platform is an operating system and a processor, by Go's names.
type Platform struct{ OS, Arch string }

// ThisPlatform is the one that this program is built for.
func ThisPlatform() Platform { return Platform{runtime.GOOS, runtime.GOARCH} }

// String is the form of mirrors and lock files: linux_amd64.
func (p Platform) String() string { return p.OS + "_" + p.Arch }

var platformForm = lazyregexp.New(`^([a-z0-9]{1,32})_([a-z0-9]{1,32})$`)

// ParsePlatform reads linux_amd64.
func ParsePlatform(text string) (Platform, error) {
	m := platformForm().FindStringSubmatch(text)
	if m == nil {
		return Platform{}, fmt.Errorf("%q is no platform: write OS_ARCH, such as linux_arm64", text)
	}
	return Platform{m[1], m[2]}, nil
}

// platformNames lists the platforms of a map, sorted; "none" where there are none.
func platformNames[V any](m map[Platform]V) string {
	var names []string
	for p := range m {
		names = append(names, p.String())
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
