variable "labels" {
  type        = map(string)
  description = "labels that the dependency's containers have"
}

variable "count" {
  type        = number
  default     = 1
  description = "how many of them hang"
}

variable "duration" {
  type        = string
  default     = "10s"
  description = "how long they hang"
}

target "docker_container" "dependency" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { count = var.count }
}

experiment "frozen-dependency" {
  hypothesis     = "When the dependency hangs for ${var.duration}, the service works again soon after its return"
  expect         = "recover"
  recover_within = "20s"

  fault "docker_pause" "dependency" {
    target   = target.docker_container.dependency
    duration = var.duration
  }
}
