variable "labels" {
  type        = map(string)
  description = "labels that the dependency's containers have; all of them become slow"
}

variable "delay" {
  type        = string
  default     = "300ms"
  description = "how much later the dependency's packets come"
}

variable "jitter" {
  type        = string
  default     = "0s"
  description = "how much the delay varies"
}

variable "percent" {
  type        = number
  default     = 100
  description = "share of the packets that are delayed"
}

variable "ports" {
  type        = list(string)
  default     = []
  description = "only packets of these ports, such as \"5432\" (default: all)"
}

variable "duration" {
  type        = string
  default     = "30s"
  description = "how long the dependency is slow"
}

target "docker_container" "dependency" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { all = true }
}

experiment "slow-dependency" {
  hypothesis     = "When the dependency answers ${var.delay} later, the service still serves"
  recover_within = "30s"

  fault "net_delay" "dependency" {
    target   = target.docker_container.dependency
    duration = var.duration
    delay    = var.delay
    jitter   = var.jitter
    percent  = var.percent
    ports    = length(var.ports) > 0 ? var.ports : null
  }
}
