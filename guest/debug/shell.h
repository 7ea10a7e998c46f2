/* A shell on the console of a debug image. Linked into the agent of that image only. */
#pragma once

#include "base/err.h"

/* Begins the line by which `cloister debug` knows that there is one. */
#define SHELL_GREETING "cloister-agent debug: "

/* Starts it, beside PID 1. When it ends the machine is switched off. Fails OS. */
FALLIBLE shell_start(struct err *err);
