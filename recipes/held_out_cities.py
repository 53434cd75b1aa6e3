"""Trains once on all drawn cities and once without each, and scores every run in all of them: what a new city costs.

    python recipes/held_out_cities.py --out runs/held_out_cities                  # all, one after the other
    python recipes/held_out_cities.py --out runs/held_out_cities --run vienna     # only this one; "all" leaves none out
    python recipes/held_out_cities.py --out runs/held_out_cities --minutes 10     # begin no further run after that

Runs that are finished are not repeated, so it may be stopped at any time. `held_out_cities.json` beside this file is
written anew after each; lesson 05 loads it. A minute or two a run on two cores that do nothing else: enough to see the
gap, not enough for a good network.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import jointnet
from jointnet.data.drawn import TRAINING_CITIES, draw_scene, save_scene, scene_files
from jointnet.data.scene import Dataset, Scene
from jointnet.evaluate.counts import count_pixels
from jointnet.evaluate.unseen_cities import ALL_CITIES, HELD_OUT_CITIES

SCORED_TILES, SCORED_SIDE = (2, 3), 512  # pixels; neither trained on nor used to choose anything
THRESHOLD = 0.5  # not chosen on any scene
SEED, BATCH_SIZE, LEARNING_RATE = 0, 2, 1.5e-3


def draw_scored(folder: Path) -> Dataset:
    """Two scenes of each city that no run has seen, drawn into `folder` where they are missing."""
    scenes = []
    for city in TRAINING_CITIES:
        for name in (f"{city}{tile}" for tile in SCORED_TILES):
            files = scene_files(folder, name)
            if not files["images"].exists():
                save_scene(draw_scene(name), folder)
            part = (0, 0, SCORED_SIDE, SCORED_SIDE)
            scenes.append(Scene(name, files["images"], city, "test", {"buildings": files["gt"]}, drawn=True, part=part))
    return Dataset("drawn tiles 2 and 3", tuple(scenes))


def train_without(left_out: str, out: Path, preset: str, steps: int, precision: str):
    """A network trained on tile 6 of every city but one, for a fixed number of steps: its last weights, not its best.

    With a single epoch there is nothing to choose on validation scenes, so no score is flattered by the choice, and a
    corner of each is enough.
    """
    dataset = jointnet.open_dataset("sample", held_out_city=None if left_out == ALL_CITIES else left_out)
    cut = (s.crop(0, 0, 128, 128) if s.split == "validation" else s for s in dataset)
    run = jointnet.train(
        preset, replace(dataset, scenes=tuple(cut)), out / left_out, epochs=1, steps=steps, batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE, seed=SEED, precision=precision, recipe="recipes/held_out_cities.py", verbose=2,
    )
    return run.model


def score_runs(model, scored: Dataset) -> dict[str, list[int]]:
    """City -> tp, fp, fn, tn of its scenes, pooled."""
    counts = {}
    for scene in scored:
        probability = jointnet.predict_array(model, scene.read(), overlap=0.125, engine="auto")[..., 0]
        valid = scene.read_valid(class_name="buildings")
        found = count_pixels(scene.read_labels("buildings"), probability >= THRESHOLD, valid)
        counts[scene.city] = [a + b for a, b in zip(counts.get(scene.city, [0] * 4), found, strict=True)]
    return counts


def run_one(left_out: str, args: argparse.Namespace) -> None:
    """Trains and scores one run, unless its scores are there."""
    place = args.out / left_out / "scores.json"
    if place.exists():
        return
    weights = place.with_name("best.weights.h5")
    model = jointnet.load_model(weights) if weights.exists() else train_without(
        left_out, args.out, args.preset, args.steps, args.precision)
    _write(place, score_runs(model, draw_scored(args.out / "scored")))


def gather(args: argparse.Namespace) -> dict:
    """All finished runs in one dict, with what they were."""
    places = {name: args.out / name / "scores.json" for name in (ALL_CITIES, *TRAINING_CITIES)}
    runs = {name: json.loads(place.read_text(encoding="utf-8")) for name, place in places.items() if place.exists()}
    return {
        "what": "pixel counts (tp, fp, fn, tn) by left-out city and scored city; 'all' was trained on every city",
        "data": "drawn by this project's program, not photographs: trained on tile 6 of each city, scored on tiles "
                f"{' and '.join(map(str, SCORED_TILES))}, {SCORED_SIDE} px square at 0.3 m",
        "drawn": True, "kind": "buildings", "preset": args.preset, "steps": args.steps, "patch_size": 128,
        "batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "seed": SEED, "precision": args.precision,
        "threshold": THRESHOLD,
        "choice": "none: fixed number of steps, last weights, fixed threshold",
        "recipe": "recipes/held_out_cities.py", "date": datetime.date.today().isoformat(), "runs": runs,
    }


def _write(path: Path, content: dict) -> None:
    draft = path.with_name(f".draft-{path.name}")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)


def main() -> None:
    """Reads the command line, does what is not done yet, and gathers when all is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", choices=[ALL_CITIES, *TRAINING_CITIES], help="do only this one")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further run after so many")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    began = time.monotonic()
    for name in [args.run] if args.run else [ALL_CITIES, *TRAINING_CITIES]:
        if time.monotonic() - began < 60 * args.minutes:
            run_one(name, args)
            _write(HELD_OUT_CITIES, gather(args))
    print(f"runs scored: {', '.join(gather(args)['runs'])}; in {HELD_OUT_CITIES}")


if __name__ == "__main__":
    main()
