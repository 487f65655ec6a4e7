package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/faultline-go/faultline/sdk"
)

// open measures whether a folder is open. The SDK calls it at each scheduled time,
// whether earlier calls have answered or not.
var open = sdk.Probe[watched]{
	Type: "acme", Doc: "Looks whether a folder is open.",
	Open: func(_ context.Context, c watched) (func(context.Context) sdk.Sample, func(), error) {
		return func(context.Context) sdk.Sample { return look(c.Sign) }, nil, nil
	},
}

type watched struct {
	Sign string `hcl:"sign" example:"/srv/room/CLOSED" doc:"Path of the sign that says that it is closed."`
}

func look(sign string) sdk.Sample {
	switch _, err := os.Stat(sign); {
	case errors.Is(err, fs.ErrNotExist):
		return sdk.Good()
	case err != nil:
		return sdk.Missing("cannot look") // neither good nor bad
	}
	return sdk.Bad("closed")
}
