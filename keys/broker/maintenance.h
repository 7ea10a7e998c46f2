/* Commands that work on a broker's store and end: migrate, backup, restore, verify, make-key. */
#pragma once

#include "base/err.h"

/* Whether the first argument names one of them. */
bool maintenance_is(const char *word);

/* Runs the command line behind the program's name; its exit code: 0, 1 failed, 2 unusable arguments. */
int maintenance_run(int argc, char **argv);
