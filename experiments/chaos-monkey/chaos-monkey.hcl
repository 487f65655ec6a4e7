variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

variable "opt_in_label" {
  type        = string
  default     = "chaos-monkey"
  description = "label by which a container takes part; without it, none is touched"
  validation {
    condition     = var.opt_in_label != ""
    error_message = "the monkey only touches what has opted in."
  }
}

variable "opt_in_value" {
  type        = string
  default     = "opt-in"
  description = "value of that label"
}

variable "mean_days" {
  type        = number
  default     = 5
  description = "mean time between kills, in work days: each of them has a chance of 1 in so many"
  validation {
    condition     = var.mean_days >= 1
    error_message = "more often than once a work day is not possible: at least 1."
  }
}

variable "min_days" {
  type        = number
  default     = 1
  description = "minimum time between kills, in work days; 1: at most one a day"
  validation {
    condition     = var.min_days >= 1 && floor(var.min_days) == var.min_days
    error_message = "it is a whole number of work days, at least 1."
  }
}

variable "days" {
  type        = list(string)
  default     = ["mon", "tue", "wed", "thu", "fri"]
  description = "the work days"
}

variable "hours" {
  type        = string
  default     = "09:00-15:00"
  description = "hours of a work day in which a kill may happen"
}

variable "zone" {
  type        = string
  default     = "UTC"
  description = "time zone of days and hours"
}

variable "at" {
  type        = string
  default     = "drawn"
  description = "drawn: not before a time of the day that is drawn, for a runner that is started every few minutes; any: at once in the hours, for one that is started once a day"
}

variable "group" {
  type        = string
  default     = ""
  description = "name of the group in the ledger; the same for all its runners (default: SCENARIO/EXPERIMENT)"
}

variable "ledger" {
  type        = string
  default     = ""
  description = "folder of the ledger, which runners on several machines share (default: in the state folder)"
}

variable "duration" {
  type        = string
  default     = "60s"
  description = "how long the instance stays dead; then it is started again"
}

target "docker_container" "instance" {
  match { label = merge(var.labels, { (var.opt_in_label) = var.opt_in_value }) }
  filter { condition = candidate.state == "running" }
  pick { count = 1 }
}

experiment "chaos-monkey" {
  hypothesis = "When one instance dies, customers notice nothing"

  chance {
    mean_days = var.mean_days
    min_days  = var.min_days
    days      = var.days
    hours     = var.hours
    zone      = var.zone
    at        = var.at
    group     = var.group
    ledger    = var.ledger
  }

  fault "docker_kill" "instance" {
    target   = target.docker_container.instance
    duration = var.duration
  }
}
