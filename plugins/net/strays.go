//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// secondLook is how much later a stray has to be there still. What a run that is going on
// puts in or takes out just now is not armed for a moment.
const secondLook = 3 * time.Second

// strays finds tables, devices and queues of ours of which no known record speaks, in the
// networks of this machine, its containers and all other processes. What is armed is left
// out: somebody holds it, or it ends by itself. Without root nobody can look, nor could
// have put anything there but by helpers, with which it goes.
func strays(ctx context.Context, known []json.RawMessage) ([]sdk.Residue, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var marks []string
	for _, raw := range known {
		var u undo
		if json.Unmarshal(raw, &u) == nil {
			marks = append(marks, u.Spec.Mark)
		}
	}
	first, err := lookForStrays(marks)
	if len(first) == 0 || err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(secondLook):
	}
	again, err := lookForStrays(marks)
	var out []sdk.Residue
	for _, r := range again {
		if slices.Contains(first, r) {
			out = append(out, r)
		}
	}
	return out, err
}

func lookForStrays(marks []string) (out []sdk.Residue, err error) {
	places, err := networks()
	if err != nil {
		return nil, err
	}
	var blind []error
	for _, path := range places {
		n, err := netns.At(path)
		if err == nil {
			err = within(n, func(s *impair.Site) error {
				found, err := s.Strays()
				for _, f := range found {
					if !f.Armed && !slices.ContainsFunc(marks, f.Of) {
						out = append(out, sdk.Residue{
							Target: "network of " + path, Kind: sdk.ResidueMarked,
							Detail: "no journal knows of " + f.What + ", through which no packet is led any more",
						})
					}
				}
				return err
			})
		}
		if err != nil && !nothingThere(err) {
			blind = append(blind, fmt.Errorf("%s: %w", path, err))
		}
	}
	return out, errors.Join(blind...)
}

// nothingThere says whether it is no wonder that we cannot look: the namespace is gone, this
// kernel has no nftables, or we may not enter, and so have put nothing there.
func nothingThere(err error) bool {
	return slices.ContainsFunc([]error{
		netns.ErrGone, syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.EOPNOTSUPP, syscall.EPROTONOSUPPORT,
	}, func(e error) bool { return errors.Is(err, e) })
}

// networks are files that stand for the network namespaces of this machine, one each: this
// machine's own, those with a name, and those of processes, such as containers have.
func networks() ([]string, error) {
	all := []string{ownPath}
	for _, pattern := range []string{filepath.Join(netns.Dir, "*"), "/proc/[0-9]*/ns/net"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	var out []string
	seen := map[uint64]bool{}
	for _, path := range all {
		info, err := os.Stat(path)
		if err != nil {
			continue // ended meanwhile
		}
		s, ok := info.Sys().(*syscall.Stat_t)
		var kind syscall.Statfs_t
		if !ok || seen[s.Ino] || syscall.Statfs(path, &kind) != nil || kind.Type != netns.FileSystem {
			continue // a name that nobody has given to a namespace
		}
		seen[s.Ino] = true
		out = append(out, path)
	}
	return out, nil
}
