package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/faultline-go/faultline/sdk"
)

// config is the body of a probe "tcp" block.
type config struct {
	Address string `hcl:"address" example:"db.example.com:5432" doc:"Host and port, such as db.example.com:5432 or [::1]:5432."`
}

var tcpProbe = sdk.Probe[config]{
	Type: "tcp",
	Doc: "Connects to a TCP port and closes the connection again. A sample is good when the connection is accepted; its latency includes looking up the name, which is done anew each time. " +
		"Many systems accept connections in the kernel while the program behind them hangs: to see that, use a probe that waits for an answer.",
	Check: func(c config) error {
		host, port, err := net.SplitHostPort(c.Address)
		if err != nil {
			return sdk.At("address", fmt.Errorf("%q: host and port are needed, such as db.example.com:5432: %w", c.Address, err))
		}
		if host == "" {
			return sdk.At("address", fmt.Errorf("%q: the host is missing", c.Address))
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return sdk.At("address", fmt.Errorf("%q: the port must be a number from 1 to 65535", c.Address))
		}
		return nil
	},
	Open: func(_ context.Context, c config) (func(context.Context) sdk.Sample, func(), error) {
		var d net.Dialer
		return func(ctx context.Context) sdk.Sample {
			conn, err := d.DialContext(ctx, "tcp", c.Address)
			if err != nil {
				return sampleOf(ctx, err)
			}
			conn.Close()
			return sdk.Good()
		}, nil, nil
	},
}
