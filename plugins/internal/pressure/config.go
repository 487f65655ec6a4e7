package pressure

// The configurations of the loads, as arguments of a fault or of a block in one.

// CPUConfig configures CPU.
type CPUConfig struct {
	Cores int     `hcl:"cores,optional" default:"0" min:"0" max:"4096" doc:"How many processors to burn; 0: all that the target may run on."`
	Load  float64 `hcl:"load,optional" default:"100" min:"1" max:"100" doc:"How much of each, in per cent."`
}

// Wanted is the load.
func (c CPUConfig) Wanted() (Load, error) {
	return Load{CPU: &CPU{Cores: c.Cores, Load: c.Load / 100}}, nil
}

// MemoryConfig configures Memory.
type MemoryConfig struct {
	Size  string `hcl:"size,optional" doc:"How much to take: \"512MB\", \"2GiB\", or \"20%\" of the target's limit or, without one, of the machine's memory."`
	Until string `hcl:"until,optional" doc:"Instead of size: how much shall be in use with it, as in \"90%\"."`
	Floor string `hcl:"floor,optional" default:"5%" doc:"What stays available, whatever happens: what would cross it is refused or given back."`
}

// Wanted is the load.
func (c MemoryConfig) Wanted() (Load, error) {
	size, until, floor, err := amounts(c.Size, c.Until, c.Floor)
	return Load{Memory: &Memory{Size: size, Until: until, Floor: floor}}, err
}

// DiskConfig configures Disk.
type DiskConfig struct {
	Path    string `hcl:"path,optional" default:"/" doc:"A folder in the file system to fill, as the target sees it."`
	Size    string `hcl:"size,optional" doc:"How much to take: \"512MB\", \"2GiB\", or \"20%\" of the file system."`
	Until   string `hcl:"until,optional" doc:"Instead of size: how much shall be in use with it, as in \"95%\"."`
	Reserve string `hcl:"reserve,optional" default:"5%" doc:"What stays free, whatever happens: what would cross it is refused or given back."`
}

// Wanted is the load.
func (c DiskConfig) Wanted() (Load, error) {
	size, until, reserve, err := amounts(c.Size, c.Until, c.Reserve)
	return Load{Disk: &Disk{Path: c.Path, Size: size, Until: until, Reserve: reserve}}, err
}

// IOConfig configures IO.
type IOConfig struct {
	Path    string `hcl:"path,optional" default:"/" doc:"A folder in the file system to read and write, as the target sees it."`
	Mode    string `hcl:"mode,optional" default:"both" enum:"read|write|both" doc:"What to do."`
	Workers int    `hcl:"workers,optional" default:"4" min:"1" max:"64" doc:"How many files are read or written at once."`
	Size    string `hcl:"size,optional" default:"16MiB" doc:"How large each of the files is."`
	Rate    string `hcl:"rate,optional" default:"0" doc:"Bytes a second that are read, and that are written, as in \"20MB\"; 0: as many as it can."`
}

// Wanted is the load.
func (c IOConfig) Wanted() (Load, error) {
	size, err := Bytes(c.Size)
	if err != nil {
		return Load{}, err
	}
	rate, err := Bytes(c.Rate)
	return Load{IO: &IO{
		Path: c.Path, Read: c.Mode != "write", Write: c.Mode != "read", Workers: c.Workers, Size: size, Rate: rate,
	}}, err
}

// ProcessesConfig configures Processes.
type ProcessesConfig struct {
	Processes int `hcl:"processes,optional" default:"0" min:"0" max:"20000" doc:"The most to start; 0: as many as the target's limit leaves room for."`
	Free      int `hcl:"free,optional" default:"0" min:"0" doc:"How many more the target can start all the same."`
}

// Wanted is the load.
func (c ProcessesConfig) Wanted() (Load, error) {
	return Load{Processes: &Processes{Free: c.Free, Limit: c.Processes}}, nil
}

// amounts reads the three of a load that takes something: how much, or until when, and
// what must stay.
func amounts(size, until, stays string) (s, u *Amount, left Amount, err error) {
	if s, err = optional(size); err != nil {
		return nil, nil, left, err
	}
	if u, err = optional(until); err != nil {
		return nil, nil, left, err
	}
	left, err = ParseAmount(stays)
	return s, u, left, err
}

// optional is nil for the empty amount.
func optional(text string) (*Amount, error) {
	if text == "" {
		return nil, nil
	}
	a, err := ParseAmount(text)
	return &a, err
}
