variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have; all of them are restarted"
}

variable "duration" {
  type        = string
  default     = "60s"
  description = "how long the restarts may take"
}

target "docker_container" "group" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { all = true }
}

experiment "thundering-herd" {
  hypothesis     = "When the whole group restarts at once, it is well again within a minute"
  expect         = "recover"
  recover_within = "60s"

  fault "docker_restart" "group" {
    target   = target.docker_container.group
    duration = var.duration
  }
}
