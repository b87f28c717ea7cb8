using System.Runtime.InteropServices;

namespace Glm.Tokenizers;

/// <summary>
/// Finds the frequent substrings of weighted words. An n-gram can only be frequent if both (n-1)-grams in it are, so each level
/// counts pairs of neighbouring frequent ids of the level before: memory stays in proportion to the text.
/// </summary>
internal static class SeedPieces
{
    /// <summary>
    /// The <paramref name="maximum"/> substrings of 2 to <paramref name="maximumLength"/> characters with the largest
    /// frequency times length; every one occurs at least <paramref name="minimumCount"/> times.
    /// </summary>
    public static List<(string Text, long Count)> Find(
        IReadOnlyList<string> words, IReadOnlyList<int> counts, int maximumLength, int minimumCount, int maximum, CancellationToken cancel)
    {
        (int[] ids, int[] starts, int[] wordOf) = Characters(words);
        var found = new List<(string Text, long Count)>();
        for (int length = 2; length <= maximumLength; length++)
        {
            cancel.ThrowIfCancellationRequested();
            var table = new Dictionary<ulong, (long Count, int Position)>();
            for (int i = 0; i < ids.Length; i++)
            {
                if (!TryKey(ids, wordOf, i, out ulong key)) continue;
                ref (long Count, int Position) entry = ref CollectionsMarshal.GetValueRefOrAddDefault(table, key, out _);
                if (entry.Count == 0) entry.Position = i;
                entry.Count += counts[wordOf[i]];
            }
            int next = 0;
            var idOf = new Dictionary<ulong, int>();
            foreach ((ulong key, (long count, int position)) in table)
            {
                if (count < minimumCount) continue;
                idOf[key] = next++;
                found.Add((TextAt(words[wordOf[position]], starts[position], length), count));
            }
            if (next == 0) break;
            // In place: position i reads its own old id and that of its right neighbour only.
            for (int i = 0; i < ids.Length; i++)
                ids[i] = TryKey(ids, wordOf, i, out ulong key) && idOf.TryGetValue(key, out int id) ? id : -1;
        }
        found.Sort(static (a, b) => (b.Count * b.Text.Length).CompareTo(a.Count * a.Text.Length) is var order && order != 0 ? order : string.CompareOrdinal(a.Text, b.Text));
        if (found.Count > maximum) found.RemoveRange(maximum, found.Count - maximum);
        return found;
    }

    /// <summary>
    /// A key for the ids at i and i + 1 if both are frequent and of one word. The product with an odd number is one to one and
    /// spreads over all bits; the plain pair would collide badly in a hash table that combines its halves.
    /// </summary>
    private static bool TryKey(int[] ids, int[] wordOf, int i, out ulong key)
    {
        key = 0;
        if (i + 1 >= ids.Length || ids[i] < 0 || ids[i + 1] < 0 || wordOf[i] != wordOf[i + 1]) return false;
        key = ((ulong)ids[i] << 32 | (uint)ids[i + 1]) * 0x9E3779B97F4A7C15;
        return true;
    }

    /// <summary>For every character of all words: its code point, where it starts in its word, and which word that is.</summary>
    private static (int[] Ids, int[] Starts, int[] WordOf) Characters(IReadOnlyList<string> words)
    {
        var ids = new List<int>();
        var starts = new List<int>();
        var wordOf = new List<int>();
        for (int word = 0; word < words.Count; word++)
        {
            int start = 0;
            foreach (System.Text.Rune rune in words[word].EnumerateRunes())
            {
                ids.Add(rune.Value);
                starts.Add(start);
                wordOf.Add(word);
                start += rune.Utf16SequenceLength;
            }
        }
        return ([.. ids], [.. starts], [.. wordOf]);
    }

    private static string TextAt(string word, int start, int characters)
    {
        int end = start;
        for (; characters > 0; characters--) end += char.IsHighSurrogate(word[end]) ? 2 : 1;
        return word[start..end];
    }
}
