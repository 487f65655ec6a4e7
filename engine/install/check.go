package install

import "fmt"

// Check says why a plugin that a scenario asks for cannot be used as it is locked and
// installed, and what to do. It does not read the binary: whoever starts it compares
// its checksum with Sums.
func (l *Lock) Check(w Want, p Platform) error {
	locked := l.Plugin(w.Source.Name)
	switch {
	case locked == nil:
		return fmt.Errorf("plugin %s (%s) is not installed for this scenario: run `faultline init`", w.Source.Name, w.Source)
	case locked.Sums[p] == "":
		return fmt.Errorf("plugin %s %s is not locked for %s: run `faultline init`", locked.Name, locked.Version, p)
	}
	return locked.satisfies(w)
}

// Installed returns the path of a plugin's binary in the store; empty when it is not
// locked for this platform. It need not be there.
func (l *Lock) Installed(name string, s Store, p Platform) string {
	locked := l.Plugin(name)
	if locked == nil || locked.Sums[p] == "" {
		return ""
	}
	return s.Path(name, locked.Sums[p])
}
