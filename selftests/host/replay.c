// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzz target without a fuzzer: every file of its corpus, then inputs from a generator with a
 * fixed seed, go through LLVMFuzzerTestOneInput() under the sanitizers. A target says that
 * something is wrong by ending the program.
 *
 * replay NAME FOLDER [INPUTS]
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_MAX_BYTES	8192
#define REPLAY_RANDOM_BYTES	1024
#define REPLAY_INPUTS		10000

static uint32_t replay_random(void)
{
	static uint64_t state = 0x853c49e6748fea9bull;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 33;
}

/* A copy of exactly the input's size, so that a read behind its end is seen. */
static void replay_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static unsigned int replay_folder(const char *path)
{
	static uint8_t data[REPLAY_MAX_BYTES];
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned int files = 0;
	char name[4096];
	FILE *file;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		file = fopen(name, "rb");
		if (!file)
			continue;
		replay_one(data, fread(data, 1, sizeof(data), file));
		fclose(file);
		files++;
	}
	if (dir)
		closedir(dir);
	return files;
}

/* Half of the inputs are bytes at random, the others have many small and edge values. */
static void replay_generated(unsigned int inputs)
{
	static const uint8_t edges[] = {
		0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff,
	};
	static uint8_t data[REPLAY_RANDOM_BYTES];
	size_t size, i;

	while (inputs--) {
		size = replay_random() % sizeof(data);
		for (i = 0; i < size; i++)
			data[i] = inputs & 1 && replay_random() & 1 ?
				  edges[replay_random() % sizeof(edges)] : replay_random();
		replay_one(data, size);
	}
}

int main(int argc, char **argv)
{
	unsigned int inputs = argc > 3 ? strtoul(argv[3], NULL, 0) : REPLAY_INPUTS;
	unsigned int files;

	if (argc < 3) {
		fprintf(stderr, "usage: %s NAME FOLDER [INPUTS]\n", argv[0]);
		return EXIT_FAILURE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..2\n");
	files = replay_folder(argv[2]);
	printf("%s 1 %s_corpus # %u inputs\n", files ? "ok" : "not ok", argv[1], files);
	replay_generated(inputs);
	printf("ok 2 %s_generated # %u inputs\n", argv[1], inputs);
	return files ? EXIT_SUCCESS : EXIT_FAILURE;
}
