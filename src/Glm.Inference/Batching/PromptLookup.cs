namespace Glm.Inference;

/// <summary>Guesses the next tokens from what stands in the text already: what followed the last tokens when they came before.</summary>
internal static class PromptLookup
{
    private const int LongestMatch = 4, ShortestMatch = 2;

    /// <summary>The tokens that followed, at most <paramref name="count"/>; none where the last tokens are new.</summary>
    public static ReadOnlySpan<int> Guess(ReadOnlySpan<int> ids, int count)
    {
        for (int length = LongestMatch; length >= ShortestMatch && count > 0; length--)
        {
            if (ids.Length <= length) continue;
            int at = ids[..^1].LastIndexOf(ids[^length..]);
            if (at >= 0) return ids.Slice(at + length, Math.Min(count, ids.Length - at - length));
        }
        return [];
    }
}
