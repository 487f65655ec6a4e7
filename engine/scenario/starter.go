package scenario

import "strings"

// Starter is the commented scenario that `faultline new` writes: it loads, and has
// enough samples to conclude. name becomes the scenario's name.
func Starter(name string) []byte {
	if n := asIdentifier(name); n != "" {
		name = n
	} else {
		name = "first"
	}
	return []byte(strings.ReplaceAll(starterText, "NAME", name))
}

const starterText = `# A game day: what healthy means, what we break, and what we believe will happen.
#
#   faultline validate .     finds mistakes
#   faultline plan .         shows what would be touched, and touches nothing
#   faultline run .          does it, and puts everything back

scenario "NAME" {
  title       = "The service survives losing its process"
  owner       = "your-team"
  environment = "staging"
}

# Set with: -var url=http://…, or FAULTLINE_VAR_url in the environment.
variable "url" {
  type        = string
  default     = "http://127.0.0.1:8080/"
  description = "what a customer would ask for"
}

variable "pid_file" {
  type        = string
  default     = "/run/my-service.pid"
  description = "where the service writes its process id"
}

# A probe is a stream of samples. This one sends 50 requests a second, whether or
# not the earlier ones were answered.
probe "http" "service" {
  url     = var.url
  rate    = 50
  timeout = "1s"
}

# Healthy is a share of good samples. 50 a second for 20 s are 1000, and to show
# 99 % with confidence takes 299 without a bad one.
steady_state "serving" {
  objective "available" {
    probe  = probe.http.service
    good   = sample.ok
    target = 0.99

    # While the process is down, less is promised.
    during {
      target = 0.9
    }
  }

  objective "fast" {
    probe  = probe.http.service
    good   = sample.latency < duration("300ms")
    target = 0.95
  }
}

# What we may touch. Without a pick block, one is taken.
target "process" "service" {
  match {
    pid_file = var.pid_file
  }
}

experiment "kill-the-process" {
  hypothesis     = "When the process dies and is started again, customers hardly notice"
  steady_state   = [steady_state.serving]
  expect         = "recover" # "tolerate" judges the time of the fault too
  baseline       = "10s"     # first, the service must be healthy without any fault
  observe        = "20s"     # how long it is judged afterwards
  recover_within = "30s"

  fault "process_kill" "service" {
    target   = target.process.service
    duration = "10s" # when it is over, the process is started again:

    restart {
      command = ["/usr/bin/my-service"]
    }
  }
}

# When to stop at once, whatever is tested.
guard "answers-at-all" {
  probe = probe.http.service
  good  = sample.ok
  for   = "15s"
}

limits {
  max_targets = 1
}
`
