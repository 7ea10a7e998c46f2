/* The commands of `cloister`, one row each: name, what --help says of it. */
#pragma once

#define COMMANDS(X) \
    X(measure, "print what the hardware will report about a guest: launch digest, MRTD, RTMRs")

#define COMMAND_DECLARE(name, about) int cmd_##name(int argc, char **argv);
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE
