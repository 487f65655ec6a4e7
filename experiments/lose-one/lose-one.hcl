variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

variable "duration" {
  type        = string
  default     = "20s"
  description = "how long the instance stays dead; then it is started again"
}

variable "via" {
  type        = string
  default     = "engine"
  description = "engine: the Docker engine kills it, and no restart policy brings it back before its time; crash: its first process is killed, as a crash would, and a restart policy acts"
}

target "docker_container" "instance" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { count = 1 }
}

experiment "lose-one" {
  hypothesis = "When one instance dies, customers notice nothing"

  fault "docker_kill" "instance" {
    target   = target.docker_container.instance
    duration = var.duration
    via      = var.via
  }
}
