//go:build linux

// Command faultline-plugin-proxy breaks connections in a TCP proxy of its own, where
// nobody may touch the kernel: it delays, throttles, cuts and refuses them, and where
// they carry HTTP it delays, answers and spoils single requests.
//
// A proxy listens at an address before a server (`listen`, `upstream`), and clients
// are told to connect to it. It is opened when a run begins to plan, before anything
// is measured, and closed when the run ends; without faults it only passes data on.
// Faults live in the memory of the plugin's process and nowhere else: they end with
// it. Package relay moves the data, package web knows HTTP.
package main

import "github.com/faultline-go/faultline/sdk"

func main() { sdk.Serve(plugin(newProxies())) }
