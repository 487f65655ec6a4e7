variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

variable "percent" {
  type        = number
  default     = 100
  description = "share of the group that is under pressure, rounded down"
}

variable "cores" {
  type        = number
  default     = 0
  description = "how many processors are kept busy beside each container; 0: all that it may run on"
}

variable "load" {
  type        = number
  default     = 100
  description = "how busy each of them is kept, in per cent"
}

variable "duration" {
  type        = string
  default     = "60s"
  description = "how long the pressure lasts"
}

target "docker_container" "group" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { percent = var.percent }
}

experiment "brownout" {
  hypothesis     = "When processors are short, the service gets slower and still serves"
  recover_within = "30s"

  fault "host_cpu" "group" {
    target   = target.docker_container.group
    duration = var.duration
    cores    = var.cores
    load     = var.load
  }
}
