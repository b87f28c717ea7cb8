namespace Glm.Inference;

/// <summary>Ranges of code points as sequences of ranges of bytes in UTF-8. Surrogates are no characters and have none.</summary>
internal static class Utf8Ranges
{
    private static readonly (int First, int Last)[] Lengths = [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)];

    /// <summary>The sequences of a range.</summary>
    public static IEnumerable<(byte First, byte Last)[]> Of(int first, int last)
    {
        foreach (var (shortest, longest) in Lengths)
        {
            int from = Math.Max(first, shortest), to = Math.Min(last, longest);
            if (from <= to)
                foreach (var sequence in Split(from, to)) yield return sequence;
        }
    }

    // Within one length, cuts where the bytes before the last ones are not the same and the last ones are not all there.
    private static IEnumerable<(byte First, byte Last)[]> Split(int first, int last)
    {
        for (int bits = 6; bits <= 18; bits += 6)
        {
            int low = (1 << bits) - 1;
            if (last <= 0x7F || first >> bits == last >> bits) continue;
            int cut = (first & low) != 0 ? first | low : (last & low) != low ? (last & ~low) - 1 : -1;
            if (cut < 0) continue;
            foreach (var sequence in Split(first, cut).Concat(Split(cut + 1, last))) yield return sequence;
            yield break;
        }
        byte[] from = Encode(first), to = Encode(last);
        yield return [.. from.Zip(to)];
    }

    private static byte[] Encode(int codePoint) => System.Text.Encoding.UTF8.GetBytes(char.ConvertFromUtf32(codePoint));
}
