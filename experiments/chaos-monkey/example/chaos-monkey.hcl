# Chaos Monkey: one random instance of a group dies, now and then. Start it from a timer,
# every few minutes: faultline run -auto-approve .
#
#   faultline catalog chaos-monkey    explains it, with all inputs

scenario "chaos-monkey" {
  title       = "The service survives losing one instance, on any day"
  environment = var.environment
}

variable "environment" {
  type        = string
  default     = "staging"
  description = "limits and policies are keyed on it"
}

variable "url" {
  type        = string
  description = "what a customer would ask for"
}

variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

# 100 requests a second for 10 s are 1000 samples; 99 % takes 299 without a bad one.
probe "http" "service" {
  url     = var.url
  rate    = 100
  timeout = "1s"
}

steady_state "serving" {
  objective "available" {
    probe  = probe.http.service
    good   = sample.ok
    target = 0.99
  }
}

experiment "chaos-monkey" {
  source       = "catalog:chaos-monkey"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels    = var.labels
    mean_days = 5             # a chance of 1 in 5 on each work day
    min_days  = 1             # and at most one a day
    hours     = "09:00-15:00" # while people are there to see it
    zone      = "UTC"
    duration  = "10s"
  }
}

limits {
  max_targets = 1
  max_percent = 50 # never half of the group or more by accident
}
