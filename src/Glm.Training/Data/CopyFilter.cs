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

    /// <summary>Remembers a held-out text.</summary>
    public void HoldOut(string text)
    {
        Cut(text);
        foreach (var (hash, _) in _passages) _heldOut.Add(hash);
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
        const ulong Basis = 0xCBF29CE484222325, Prime = 0x100000001B3; // FNV-1a of 64 bits, over UTF-16 units
        _passages.Clear();
        (ulong hash, int weight) = (Basis, 0);
        foreach (char c in text)
        {
            if (char.IsLetterOrDigit(c) || char.IsSurrogate(c))
            {
                hash = (hash ^ char.ToLowerInvariant(c)) * Prime;
                weight += c >= '\u2E80' ? 2 : 1;
            }
            else if (weight >= PassageWeight && SentenceEnds.Contains(c))
            {
                _passages.Add((hash, weight));
                (hash, weight) = (Basis, 0);
            }
        }
        if (weight > 0) _passages.Add((hash, weight));
    }
}
