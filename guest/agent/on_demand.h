/*
 * What is called of tpm2-tss in a guest: the libraries are opened when the first of their functions is called, and mapped
 * nowhere before. [guest/initrd/on_demand.py, which makes the functions that ask here]
 */
#pragma once

/* The function of this name. Ends the process, with a word why, where there is none: the initrd is whole, or it is not ours. */
void *on_demand_find(const char *name);

#define ON_DEMAND_FOLDER "/lib/x86_64-linux-gnu"

/* Gives back the memory of their files in `folder`, in a guest that will never want them. Best effort. */
void on_demand_forget(const char *folder);
