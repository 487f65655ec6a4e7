package main

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/faultline-go/faultline/sdk"
)

// sampleOf says what a failed connect means, in words that are the same for the
// same cause. What is our own lack says nothing of the other side.
func sampleOf(ctx context.Context, err error) sdk.Sample {
	var dns *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return sdk.Missing("the probe was stopped")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return sdk.Missing("no free file descriptor")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return sdk.Missing("no free local port")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return sdk.Bad("timeout")
	case errors.Is(err, syscall.ECONNREFUSED):
		return sdk.Bad("connection refused")
	case errors.Is(err, syscall.ECONNRESET):
		return sdk.Bad("connection reset")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return sdk.Bad("unreachable")
	case errors.As(err, &dns) && dns.IsNotFound:
		return sdk.Bad("no such host")
	case errors.As(err, &dns) && dns.IsTimeout:
		return sdk.Bad("timeout")
	case errors.As(err, &dns):
		return sdk.Bad("name lookup failed")
	}
	return sdk.Bad("connect failed")
}
