namespace Glm.Tokenizers;

/// <summary>A vocabulary as the metadata of a GGUF file (ChatGLM spec 10.3): those of ChatGLM3 and GLM-4, which <see cref="GgufVocabulary"/> reads back.</summary>
public static class GgufVocabularyMetadata
{
    /// <summary>What the names of the keys begin with.</summary>
    public const string Prefix = "tokenizer.ggml.";

    /// <summary>The metadata; null of a vocabulary that GGUF has no form for.</summary>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="rows">Rows of the embedding, which has a token for each.</param>
    /// <exception cref="GlmException">There are fewer rows than tokens.</exception>
    public static IReadOnlyList<KeyValuePair<string, object>>? Of(Tokenizer tokenizer, int rows)
    {
        if (tokenizer.VocabularySize > rows) throw new GlmException($"vocabulary: expected at most the model's {rows} ids, found {tokenizer.VocabularySize}");
        return tokenizer switch
        {
            AppendedTokenizer { Kind: VocabularyKind.ChatGlm3 } pieces => OfPieces(pieces, rows),
            ByteLevelTokenizer { Kind: VocabularyKind.Glm4 } ranks => OfRanks(ranks, rows),
            _ => null,
        };
    }

    private static KeyValuePair<string, object>[] OfPieces(AppendedTokenizer tokenizer, int rows)
    {
        var pieces = tokenizer.Pieces;
        string[] tokens = Tokens(tokenizer, rows, id => id < 3 ? new[] { "<unk>", "<bos>", "<eos>" }[id] : pieces[id].Text, pieces.Count);
        int[] types = Types(tokenizer, rows, id => pieces[id].Type, pieces.Count);
        float[] scores = [.. pieces.Select(piece => piece.Score), .. new float[rows - pieces.Count]];
        return Keys("llama", "chatglm-spm", [("tokens", tokens), ("scores", scores), ("token_type", types), ("unknown_token_id", 0u), ("bos_token_id", 1u), ("eos_token_id", 2u), ("padding_token_id", 0u)]);
    }

    private static KeyValuePair<string, object>[] OfRanks(ByteLevelTokenizer tokenizer, int rows)
    {
        var ranks = tokenizer.Tokens;
        string[] tokens = Tokens(tokenizer, rows, id => ByteAlphabet.Write(ranks[id]!), ranks.Count);
        uint end = (uint)ranks.Count, user = (uint)tokenizer.Special.Roles!.User;
        return Keys("gpt2", "chatglm-bpe",
        [
            ("tokens", tokens), ("token_type", Types(tokenizer, rows, _ => PieceType.Normal, ranks.Count)), ("merges", Merges(ranks)),
            ("eos_token_id", end), ("padding_token_id", end), ("eot_token_id", user), ("unknown_token_id", end),
        ]);
    }

    private static KeyValuePair<string, object>[] Keys(string model, string pre, (string Name, object Value)[] values) =>
        [new(Prefix + "model", model), new(Prefix + "pre", pre), .. values.Select(value => new KeyValuePair<string, object>(Prefix + value.Name, value.Value)), new(Prefix + "add_bos_token", false)];

    private static string[] Tokens(Tokenizer tokenizer, int rows, Func<int, string> text, int ordinary) =>
        [.. Enumerable.Range(0, rows).Select(id => id < ordinary ? text(id) : id < tokenizer.VocabularySize ? tokenizer.PieceText(id) : $"[PAD{id}]")];

    private static int[] Types(Tokenizer tokenizer, int rows, Func<int, PieceType> type, int ordinary) =>
        [.. Enumerable.Range(0, rows).Select(id => (int)(id < ordinary ? type(id) : id < tokenizer.VocabularySize ? PieceType.Control : PieceType.Unused))];

    /// <summary>
    /// For each token of several bytes, the two that its bytes come to by merges, always that of the lowest rank: what makes it. The steps may be of higher ranks than the token
    /// (of the bytes of a Chinese word, the last of one character and all of the next are a frequent token). A token that no merges make has none; it is found whole alone.
    /// </summary>
    private static string[] Merges(IReadOnlyList<byte[]?> tokens)
    {
        var ranks = new Dictionary<string, int>(tokens.Count, StringComparer.Ordinal);
        for (int id = 0; id < tokens.Count; id++) ranks[ByteAlphabet.Write(tokens[id]!)] = id;
        var merges = new List<string>();
        foreach (string token in ranks.Keys)
            if (token.Length > 1 && Halves(token, ranks) is { } halves) merges.Add(halves);
        return [.. merges];
    }

    private static string? Halves(string token, Dictionary<string, int> ranks)
    {
        List<string> parts = [.. token.Select(character => character.ToString())];
        while (parts.Count > 2)
        {
            int best = -1, lowest = int.MaxValue;
            for (int i = 0; i + 1 < parts.Count; i++)
                if (ranks.TryGetValue(parts[i] + parts[i + 1], out int found) && found < lowest) (best, lowest) = (i, found);
            if (best < 0) return null;
            parts[best] += parts[best + 1];
            parts.RemoveAt(best + 1);
        }
        return $"{parts[0]} {parts[1]}";
    }
}
