# The events of a trace as plain lists for JSON, of bounded size: what is too much goes from the middle.
from json.encoder import encode_basestring_ascii as _json

HEAD_BYTES, TAIL_BYTES = 90_000, 130_000  # of the events' JSON: with all the rest a trace stays below 256 kB


def fitted(events):
    """
    (rows, whether some had to go). A row is [kind, line, frame, depth, changed, arg, notes, step, function], where `changed`
    has only the names whose text differs from the frame's last event that is kept (null: gone).
    """
    rows = _rows(events)
    # JSON needs at most half as much again as Python's own escapes, which are quickly made.
    room = HEAD_BYTES + TAIL_BYTES
    sizes = [_size(row) for row in rows] if len(ascii(rows)) * 3 > room * 2 else []
    if sum(sizes) <= room:
        return rows, False
    first, room = 0, HEAD_BYTES
    while sizes[first] <= room:
        room -= sizes[first]
        first += 1
    last, end = first, rows[first:]
    while sum([_size(row) for row in end]) > TAIL_BYTES:
        last += (len(events) - last) // 8 + 1
        end = _rows(events[last:])  # after a gap every frame starts with its full set again
    return rows[:first] + end, True


def _rows(events):
    last = {}
    previous = -1
    out = []
    for kind, line, frame, depth, states, arg, notes, step, name in events:
        if step != previous + 1:
            last = {}
        previous = step
        changed = None
        if states is not None:
            before = last.get(frame)
            if before is None:
                changed = dict(states)
            else:
                changed = {key: value for key, value in states.items() if before.get(key) != value}
                changed.update((key, None) for key in before if key not in states)
            last[frame] = states
        out.append([kind, line, frame, depth, changed, arg, notes or None, step, name])
    return out


def _size(value):
    """Length of its JSON."""
    t = type(value)
    if t is str:
        return len(_json(value))
    if t is dict:
        return 2 + sum([len(_json(key)) + 2 + _size(item) for key, item in value.items()])
    if t is list:
        return 2 + sum([1 + _size(item) for item in value])
    return 5 if value is None or t is bool else len(int.__repr__(value))
