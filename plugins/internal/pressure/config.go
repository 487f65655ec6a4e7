package pressure

import "github.com/faultline-go/faultline/sdk"

// The configurations of the loads, as arguments of a fault or of a block in one.

// CPUConfig configures CPU.
type CPUConfig struct {
	Cores int     `hcl:"cores,optional" unit:"processors" default:"0" min:"0" max:"4096" doc:"How many processors to burn; 0: all that the target may run on."`
	Load  float64 `hcl:"load,optional" default:"100" min:"1" max:"100" unit:"percent" doc:"How much of each."`
}

// Wanted is the load.
func (c CPUConfig) Wanted() (Load, error) {
	return Load{CPU: &CPU{Cores: c.Cores, Load: c.Load / 100}}, nil
}

// MemoryConfig configures Memory.
type MemoryConfig struct {
	Size  *sdk.Amount `hcl:"size,optional" exactly_one:"how much" example:"512MB" doc:"How much to take: \"512MB\", \"2GiB\", or \"20%\" of the target's limit or, without one, of the machine's memory."`
	Until *sdk.Amount `hcl:"until,optional" exactly_one:"how much" doc:"Instead of size: how much shall be in use with it, as in \"90%\"."`
	Floor sdk.Amount  `hcl:"floor,optional" default:"5%" doc:"What stays available, whatever happens: what would cross it is refused or given back."`
}

// Wanted is the load.
func (c MemoryConfig) Wanted() (Load, error) {
	return Load{Memory: &Memory{Size: amountOf(c.Size), Until: amountOf(c.Until), Floor: *amountOf(&c.Floor)}}, nil
}

// DiskConfig configures Disk.
type DiskConfig struct {
	Path    string      `hcl:"path,optional" default:"/" doc:"A folder in the file system to fill, as the target sees it."`
	Size    *sdk.Amount `hcl:"size,optional" exactly_one:"how much" example:"512MB" doc:"How much to take: \"512MB\", \"2GiB\", or \"20%\" of the file system."`
	Until   *sdk.Amount `hcl:"until,optional" exactly_one:"how much" doc:"Instead of size: how much shall be in use with it, as in \"95%\"."`
	Reserve sdk.Amount  `hcl:"reserve,optional" default:"5%" doc:"What stays free, whatever happens: what would cross it is refused or given back."`
}

// Wanted is the load.
func (c DiskConfig) Wanted() (Load, error) {
	return Load{Disk: &Disk{Path: c.Path, Size: amountOf(c.Size), Until: amountOf(c.Until), Reserve: *amountOf(&c.Reserve)}}, nil
}

// IOConfig configures IO.
type IOConfig struct {
	Path    string   `hcl:"path,optional" default:"/" doc:"A folder in the file system to read and write, as the target sees it."`
	Mode    string   `hcl:"mode,optional" default:"both" enum:"read|write|both" doc:"What to do."`
	Workers int      `hcl:"workers,optional" default:"4" min:"1" max:"64" doc:"How many files are read or written at once."`
	Size    sdk.Size `hcl:"size,optional" default:"16MiB" doc:"How large each of the files is."`
	Rate    sdk.Rate `hcl:"rate,optional" default:"0" doc:"How much is read in a second, and how much is written, as in \"20MB/s\"; 0: as much as it can."`
}

// Wanted is the load.
func (c IOConfig) Wanted() (Load, error) {
	return Load{IO: &IO{
		Path: c.Path, Read: c.Mode != "write", Write: c.Mode != "read", Workers: c.Workers,
		Size: int64(c.Size), Rate: int64(c.Rate.BytesPerSecond()),
	}}, nil
}

// ProcessesConfig configures Processes.
type ProcessesConfig struct {
	Processes int `hcl:"processes,optional" unit:"processes" default:"0" min:"0" max:"20000" doc:"The most to start; 0: as many as the target's limit leaves room for."`
	Free      int `hcl:"free,optional" default:"0" min:"0" doc:"How many more the target can start all the same."`
}

// Wanted is the load.
func (c ProcessesConfig) Wanted() (Load, error) {
	return Load{Processes: &Processes{Free: c.Free, Limit: c.Processes}}, nil
}
