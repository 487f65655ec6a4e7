// Package address knows what a plugin's source looks like:
//
//	plugins.example.com/acme/lamp    host, namespace, name
//	acme/lamp                        no host: only of a mirror of one's own
//
// An address says whose plugin it is, not where to fetch it: that is in the
// configuration of whoever installs it, with the keys that may sign it.
package address

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// Address is a plugin's source. It is comparable.
type Address struct {
	Host      string // may be empty; with a port where it has one
	Namespace string
	Name      string // as its types and its binary have it
}

const longest = 255

var (
	hostLabel = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	namespace = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	name      = lazyregexp.New(`^[a-z0-9]{1,64}$`)
)

// Parse reads [HOST/]NAMESPACE/NAME.
func Parse(text string) (Address, error) {
	parts, err := split(text)
	if err != nil {
		return Address{}, fmt.Errorf("%w: write it as HOST/NAMESPACE/NAME, such as plugins.example.com/acme/lamp", err)
	}
	a := Address{Namespace: parts[len(parts)-2], Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		a.Host = parts[0]
	}
	return a, nil
}

// IsZero says whether there is no address.
func (a Address) IsZero() bool { return a == Address{} }

// String is the form that Parse reads; empty for no address.
func (a Address) String() string {
	switch {
	case a.IsZero():
		return ""
	case a.Host == "":
		return a.Namespace + "/" + a.Name
	}
	return a.Host + "/" + a.Namespace + "/" + a.Name
}

func split(text string) ([]string, error) {
	parts := strings.Split(text, "/")
	switch {
	case text == "":
		return nil, errors.New("the address is empty")
	case len(text) > longest:
		return nil, fmt.Errorf("the address has more than %d characters", longest)
	case strings.Contains(text, "://"):
		return nil, fmt.Errorf("%q is a URL, and an address has no scheme", text)
	case len(parts) == 1:
		return nil, fmt.Errorf("%q has no namespace", text)
	case len(parts) > 3:
		return nil, fmt.Errorf("%q has more than three parts", text)
	}
	if len(parts) == 3 {
		if err := checkHost(parts[0]); err != nil {
			return nil, err
		}
	}
	if err := checkNamespace(parts[len(parts)-2]); err != nil {
		return nil, err
	}
	if n := parts[len(parts)-1]; !name().MatchString(n) {
		return nil, fmt.Errorf("the name %q: a plugin's name has lower-case letters and digits only", n)
	}
	return parts, nil
}

// isHost tells a host from a namespace, which has no dot and no port.
func isHost(s string) bool { return strings.ContainsAny(s, ".:") || s == "localhost" }

func checkHost(host string) error {
	bare, port, hasPort := strings.Cut(host, ":")
	if hasPort {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return fmt.Errorf("the host %q: %q is no port", host, port)
		}
	}
	if !isHost(host) {
		return fmt.Errorf("the host %q has no dot", host)
	}
	for label := range strings.SplitSeq(bare, ".") {
		if !hostLabel().MatchString(label) {
			return fmt.Errorf("the host %q: write its name in lower case, and an international one as DNS has it (xn--…)", host)
		}
	}
	return nil
}

func checkNamespace(s string) error {
	switch {
	case namespace().MatchString(s):
		return nil
	case isHost(s):
		return fmt.Errorf("%q is a host, and no namespace comes after it", s)
	}
	return fmt.Errorf("the namespace %q: it has lower-case letters, digits and, between them, dashes", s)
}

// Prefix is the beginning of addresses, cut between their parts: a host, a host and a
// namespace, a namespace of no host, or a whole address. It is comparable.
type Prefix struct{ text string }

// ParsePrefix reads one.
func ParsePrefix(text string) (Prefix, error) {
	wrong := func(err error) (Prefix, error) {
		return Prefix{}, fmt.Errorf("%w: write the beginning of addresses, such as plugins.example.com or plugins.example.com/acme", err)
	}
	parts := strings.Split(text, "/")
	var err error
	switch {
	case text == "" || len(parts) > 2 || len(parts) == 2 && !isHost(parts[0]):
		_, err = split(text)
	case isHost(parts[0]):
		if err = checkHost(parts[0]); err == nil && len(parts) == 2 {
			err = checkNamespace(parts[1])
		}
	default:
		err = checkNamespace(parts[0])
	}
	if err != nil {
		return wrong(err)
	}
	return Prefix{text}, nil
}

// String is the form that ParsePrefix reads.
func (p Prefix) String() string { return p.text }

// Matches says whether an address begins with the prefix.
func (p Prefix) Matches(a Address) bool {
	rest, ok := strings.CutPrefix(a.String(), p.text)
	return ok && (rest == "" || rest[0] == '/')
}
