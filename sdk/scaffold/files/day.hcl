# A game day with this plugin: it closes one of two rooms. From the plugin's folder:
#
#   faultline plan day      shows what would happen
#   faultline run day       does it, and opens the room again

scenario "rooms" {
  title = "The other room stays open"
}

# What the plugin finds, and what of it may be closed.
target "acme_folder" "room" {
  match { path = "day/rooms/*" }
  filter { condition = candidate.name == "one" }
}

probe "acme" "other" {
  sign = "day/rooms/two/CLOSED"
  rate = 10 # samples a second
}

steady_state "other" {
  objective "open" {
    probe  = probe.acme.other
    good   = sample.ok
    target = 0.9
  }
}

experiment "close-a-room" {
  hypothesis   = "When one room is closed, the other one stays open"
  steady_state = [steady_state.other]
  baseline     = "3s"
  observe      = "5s"

  fault "acme_close" "room" {
    target   = target.acme_folder.room
    duration = "4s"
    sign     = "CLOSED"
  }
}
