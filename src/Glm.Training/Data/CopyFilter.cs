namespace Glm.Training;

/// <summary>Why a document is left out.</summary>
internal enum CopyKind
{
    None,

    /// <summary>Most of it stands in documents that were kept.</summary>
    Duplicate,

    /// <summary>Part of it stands in held-out texts.</summary>
    HeldOut,
}

/// <summary>
/// Tells copies and near copies by their passages: the shortest runs of whole sentences or lines that weigh at least 20, where a Latin letter or a digit weighs 1 and a
/// Chinese character 2. Only letters and digits count, in lower case, so that line breaks and punctuation make no difference; cuts are at the same places in both
/// texts again soon after one where they differ. Of a passage 64 bits are remembered.
/// </summary>
/// <param name="deduplicate">Whether documents are compared with those before, beside the held-out ones.</param>
internal sealed class CopyFilter(bool deduplicate)
{
    /// <summary>The part of a document that may stand in documents before it.</summary>
    private const double MostSeen = 0.5;

    /// <summary>The part of a document that may stand in held-out texts: phrases that everyone uses.</summary>
    private const double MostHeldOut = 0.1;

    private const int PassageWeight = 20;
    private const string SentenceEnds = "\n.!?。！？；";

    private readonly HashSet<ulong> _seen = [], _heldOut = [];
    private readonly List<(ulong Hash, int Weight)> _passages = [];

    /// <summary>Remembers the texts of files and folders as held out.</summary>
    /// <exception cref="GlmException">A file cannot be read to its end, or a document in it: that one could not be kept out of the training data.</exception>
    public void HoldOut(IReadOnlyList<string> inputs, string textField, int maxDocumentBytes, CancellationToken cancellation)
    {
        if (inputs.Count == 0) return;
        foreach (string file in InputFile.Expand(inputs))
            foreach (DocumentText document in new DocumentReader(file, textField, maxDocumentBytes).Read())
            {
                cancellation.ThrowIfCancellationRequested();
                HoldOut(document.Text ?? throw new GlmException($"{file}, line {document.Line}: expected a held-out document, found {document.Fault}"));
            }
    }

    /// <summary>
    /// Remembers the passages of a held-out text from each of its sentences on, so that one sentence of it is known wherever it is quoted; but not a rest at its end
    /// that is too short to be told from common words.
    /// </summary>
    public void HoldOut(string text)
    {
        for (var rest = text.AsSpan(); ;)
        {
            while (!rest.IsEmpty && !Counts(rest[0])) rest = rest[1..];
            var (hash, weight, _) = Passage(rest);
            if (weight < PassageWeight) break;
            _heldOut.Add(hash);
            int end = rest.IndexOfAny(SentenceEnds);
            if (end < 0) break;
            rest = rest[(end + 1)..];
        }
    }

    /// <summary>Judges a document; one that is none of the two kinds is remembered.</summary>
    public CopyKind Judge(string text)
    {
        Cut(text);
        long all = 0, seen = 0, heldOut = 0;
        foreach (var (hash, weight) in _passages)
        {
            all += weight;
            if (_seen.Contains(hash)) seen += weight;
            if (_heldOut.Contains(hash)) heldOut += weight;
        }
        if (heldOut > MostHeldOut * all) return CopyKind.HeldOut;
        if (seen > MostSeen * all) return CopyKind.Duplicate;
        if (deduplicate)
            foreach (var (hash, _) in _passages) _seen.Add(hash);
        return CopyKind.None;
    }

    private void Cut(string text)
    {
        _passages.Clear();
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            var (hash, weight, length) = Passage(rest);
            if (weight > 0) _passages.Add((hash, weight));
            rest = rest[length..];
        }
    }

    /// <summary>The passage that a text begins with, and how much of the text it is.</summary>
    private static (ulong Hash, int Weight, int Length) Passage(ReadOnlySpan<char> text)
    {
        const ulong Basis = 0xCBF29CE484222325, Prime = 0x100000001B3; // FNV-1a of 64 bits, over UTF-16 units
        (ulong hash, int weight) = (Basis, 0);
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (Counts(c))
            {
                hash = (hash ^ char.ToLowerInvariant(c)) * Prime;
                weight += c >= '\u2E80' ? 2 : 1;
            }
            else if (weight >= PassageWeight && SentenceEnds.Contains(c)) return (hash, weight, i + 1);
        }
        return (hash, weight, text.Length);
    }

    private static bool Counts(char c) => char.IsLetterOrDigit(c) || char.IsSurrogate(c);
}
