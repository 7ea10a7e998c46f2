/* Kernel modules: what the initrd carries in /modules, in the order of their names. */
#pragma once

#include "base/err.h"

enum { MODULES_MAX = 32 };

/*
 * Loads every file of `directory`, NN-NAME.ko, in order. A module whose device this machine does not have (ENODEV) is
 * passed over: the initrd serves every TEE. Fails OS for any other reason, LIMIT, NOT_FOUND without the directory.
 */
FALLIBLE modules_load(const char *directory, struct err *err);

/* Gives back the memory of files that nothing loads any more, and of their directory. Best effort. */
void modules_forget(const char *directory);
