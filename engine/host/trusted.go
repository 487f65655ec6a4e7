package host

import (
	"errors"

	"github.com/faultline-go/faultline/engine/trust"
)

// allow asks whether a binary, whose checksum is known, may start. It is asked again
// where the checksum was looked up and is then taken from the content.
func (h *Host) allow(b *binary) (err error) {
	b.basis, err = h.decide(trust.Binary{Name: b.name, Path: b.path, Sum: b.sum})
	return err
}

func (h *Host) decide(b trust.Binary) (trust.Basis, error) {
	switch {
	case h.opts.Trust != nil:
	case b.Attached:
		return trust.Attached, nil
	default:
		return trust.Insecure, nil
	}
	basis, err := h.opts.Trust(b)
	if err == nil && basis == "" {
		err = errors.New("plugin " + b.Name + " may not start") // whoever forgets to say why does not say yes
	}
	if err != nil {
		return "", err
	}
	return basis, nil
}

// ofRun is the ground on which the kept copy of a run's binary starts again: the run was
// allowed to start it, and its journal has the checksum.
const ofRun trust.Basis = "run"
