variable "labels" {
  type        = map(string)
  description = "labels that the dependency's containers have; all of them go down"
}

variable "duration" {
  type        = string
  default     = "30s"
  description = "how long the dependency is down; then it is started again"
}

target "docker_container" "dependency" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { all = true }
}

experiment "dependency-down" {
  hypothesis     = "When the dependency is down for ${var.duration}, the service works again soon after its return"
  expect         = "recover"
  recover_within = "30s"

  fault "docker_kill" "dependency" {
    target   = target.docker_container.dependency
    duration = var.duration
  }
}
