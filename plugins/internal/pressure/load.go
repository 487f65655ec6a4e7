package pressure

import (
	"cmp"
	"errors"
	"fmt"
	"path"
)

// Load is what one pressure process does. What is nil it does not do; it does at least
// one thing.
type Load struct {
	CPU       *CPU       `json:"cpu,omitempty"`
	Memory    *Memory    `json:"memory,omitempty"`
	Disk      *Disk      `json:"disk,omitempty"`
	IO        *IO        `json:"io,omitempty"`
	Processes *Processes `json:"processes,omitempty"`
}

// CPU burns processor time.
type CPU struct {
	Cores int     `json:"cores"` // 0: all that the target may run on
	Load  float64 `json:"load"`  // share of each, above 0, at most 1
}

// Memory takes memory and keeps it resident.
type Memory struct {
	// Exactly one of the two is set: how much to take, or how much of the whole shall be
	// in use with it.
	Size  *Amount `json:"size,omitempty"`
	Until *Amount `json:"until,omitempty"`
	Floor Amount  `json:"floor"` // what must stay available
}

// Disk takes space of a file system, in a file that has no name.
type Disk struct {
	Path    string  `json:"path"` // a folder, as the target sees it
	Size    *Amount `json:"size,omitempty"`
	Until   *Amount `json:"until,omitempty"`
	Reserve Amount  `json:"reserve"` // what must stay free
}

// IO reads and writes a file that has no name, past the cache.
type IO struct {
	Path    string `json:"path"` // a folder, as the target sees it
	Read    bool   `json:"read,omitempty"`
	Write   bool   `json:"write,omitempty"`
	Workers int    `json:"workers"`
	Size    int64  `json:"size"`           // of each worker's file
	Rate    int64  `json:"rate,omitempty"` // bytes a second, of all workers, for reads and writes each; 0: as fast as it goes
}

// Processes starts processes that do nothing.
type Processes struct {
	Free  int `json:"free"`            // how many more the target's limit shall leave room for
	Limit int `json:"limit,omitempty"` // never start more; 0: as many as the limit leaves room for
}

// Validate says what is wrong with a load.
func (l Load) Validate() error {
	if l == (Load{}) {
		return errors.New("nothing to do: no kind of pressure is given")
	}
	if c := l.CPU; c != nil && (c.Cores < 0 || c.Load <= 0 || c.Load > 1) {
		return fmt.Errorf("load of %g%% on %d cores: load goes from above 0 to 100, cores from 0 (all)", 100*c.Load, c.Cores)
	}
	if m := l.Memory; m != nil {
		if err := eitherOf(m.Size, m.Until); err != nil {
			return err
		}
	}
	if d := l.Disk; d != nil {
		if err := eitherOf(d.Size, d.Until); err != nil {
			return err
		}
		if err := absolute(d.Path); err != nil {
			return err
		}
	}
	if i := l.IO; i != nil {
		switch {
		case !i.Read && !i.Write:
			return errors.New("neither read nor write: there is no pressure")
		case i.Workers < 1 || i.Size < ioBlock:
			return fmt.Errorf("%d workers with files of %s: at least one worker, and a file of %s", i.Workers, size(i.Size), size(ioBlock))
		case i.Rate < 0:
			return errors.New("a rate cannot be negative")
		}
		return absolute(i.Path)
	}
	return nil
}

func eitherOf(size, until *Amount) error {
	switch {
	case size == nil && until == nil:
		return errors.New("say how much: size (to take) or until (in use with it)")
	case size != nil && until != nil:
		return errors.New("size and until exclude each other: size is what to take, until is what shall be in use with it")
	case size != nil && size.Zero() || until != nil && until.Zero():
		return errors.New("an amount of 0 is no pressure")
	}
	return nil
}

func absolute(folder string) error {
	if !path.IsAbs(folder) {
		return fmt.Errorf("path %q is not absolute", folder)
	}
	return nil
}

// And is both loads at once; of the same kind, the other's.
func (l Load) And(other Load) Load {
	return Load{
		CPU: cmp.Or(other.CPU, l.CPU), Memory: cmp.Or(other.Memory, l.Memory), Disk: cmp.Or(other.Disk, l.Disk),
		IO: cmp.Or(other.IO, l.IO), Processes: cmp.Or(other.Processes, l.Processes),
	}
}
