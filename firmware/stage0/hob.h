/* The TD HOB: the VMM's list of a TDX guest's memory, in the page that the metadata names. [PI 1.8 volume 3; TDVF 4.2] */
#pragma once

#include "firmware/stage0/memory_map.h"

/*
 * Reads the list. That memory was accepted already is the host's word only, and is not used.
 *
 *   map         RAM, ascending; what touches is one range; undefined on failure
 *   measured    the bytes that a measurement covers: all before the end HOB; borrows from `list`
 *
 * Fails MALFORMED for a list that does not end, is not of whole pages or not ascending, UNSUPPORTED for another kind of
 * HOB or of memory, LIMIT for memory over MEMORY_TOP_MAX or too many ranges.
 */
FALLIBLE hob_read(struct bytes list, struct memory_map *map, struct bytes *measured, struct err *err);
