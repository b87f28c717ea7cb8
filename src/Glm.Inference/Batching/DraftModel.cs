using Glm.Models;

namespace Glm.Inference;

/// <summary>
/// Guesses the next tokens of requests with a smaller model of the same vocabulary, one after the other, for all requests together. Belongs to the engine's thread.
/// </summary>
internal sealed class DraftModel(Session session)
{
    private readonly Dictionary<BatchEntry, Reading> _readings = [];
    private readonly List<Reading> _guessing = [];

    /// <summary>Lets each request guess so many tokens at most (<see cref="BatchEntry.Drafts"/>): as many as the model and its pages have room for.</summary>
    public void Guess(IReadOnlyList<BatchEntry> entries, int most)
    {
        int pages = 0;
        foreach (var entry in entries)
        {
            int count = Math.Min(entry.BeginGuess(most), session.Model.MaxSequenceLength - entry.Length);
            if (count <= 0) continue;
            if (!_readings.TryGetValue(entry, out var reading)) _readings.Add(entry, reading = new Reading(entry, session.Cache.Add()));
            reading.Begin(count);
            int needed = reading.Sequence.NewPages(entry.Length - reading.Sequence.Length + count);
            if (pages + needed > session.Cache.FreePages || !reading.IsKnownTo(session.Model))
            {
                reading.Sequence.Truncate(0);
                continue;
            }
            pages += needed;
            _guessing.Add(reading);
        }
        for (int vocabulary = session.Model.VocabSize; _guessing.Count > 0; _guessing.RemoveAll(reading => reading.Left == 0))
        {
            var logits = session.Run([.. _guessing.Select(reading => reading.Next(session.Model))]);
            for (int i = 0; i < _guessing.Count; i++) _guessing[i].Take(logits.Slice(i * vocabulary, vocabulary));
        }
    }

    /// <summary>Gives back what it holds of a request.</summary>
    public void Forget(BatchEntry entry)
    {
        if (_readings.Remove(entry, out var reading)) reading.Sequence.Release();
    }

    /// <summary>What the model holds of one request, and how many tokens are still to be guessed.</summary>
    private sealed class Reading(BatchEntry entry, KvCache.Sequence sequence)
    {
        private int[] _ids = [], _positions = [], _blocks = [];
        private int _known;

        public KvCache.Sequence Sequence => sequence;

        public int Left { get; private set; }

        public void Begin(int count)
        {
            Left = count;
            // Of what was guessed the last time, all but the last token of now came true.
            sequence.Truncate(Math.Min(sequence.Length, entry.Length - 1));
        }

        /// <summary>Whether the model has all tokens: rows above the vocabulary may be more in one model than in another.</summary>
        public bool IsKnownTo(LanguageModel model)
        {
            while (_known < entry.Length && entry.TokenAt(_known) < model.VocabSize) _known++;
            return _known == entry.Length;
        }

        public SessionInput Next(LanguageModel model)
        {
            var place = entry.Request.Context.Place;
            int start = sequence.Length, count = entry.Length + entry.Drafts - start;
            if (_ids.Length < count) (_ids, _positions, _blocks) = (new int[count], new int[count], model.PositionAxes == 2 ? new int[count] : []);
            for (int i = 0; i < count; i++)
            {
                _ids[i] = entry.TokenAt(start + i);
                (_positions[i], int block) = model.PositionOf(start + i, place);
                if (_blocks.Length > 0) _blocks[i] = block;
            }
            return new SessionInput(sequence, _ids.AsMemory(0, count), _positions.AsMemory(0, count), place.Division, _blocks.Length == 0 ? default : _blocks.AsMemory(0, count));
        }

        public void Take(Span<float> logits) => Left = entry.Guess(logits) ? Left - 1 : 0;
    }
}
