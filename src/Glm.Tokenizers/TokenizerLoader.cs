namespace Glm.Tokenizers;

/// <summary>Recognises vocabularies by what is in their files, and by what lies beside them where that alone does not tell.</summary>
internal static class TokenizerLoader
{
    private const int ChatGlm2Pieces = 64789, ChatGlmPieces = 130344, GlmChinesePieces = 50000, Gpt2Tokens = 50257, RobertaTokens = 50265;

    /// <summary>The tokenizer of a file.</summary>
    /// <exception cref="GlmException">The file cannot be read, is damaged, or is of no known kind.</exception>
    public static Tokenizer Load(string file, IceOptions? ice)
    {
        if (Path.GetFileName(file) == MergesFile.Name) file = Path.Combine(Path.GetDirectoryName(file) ?? "", "vocab.json");
        byte[] bytes = VocabularyFile.Read(file);
        var location = new TokenizerLocation(file);
        return bytes.AsSpan().TrimStart(" \r\n\t\uFEFF"u8) is [(byte)'{', ..] ? OfJson(bytes, file, location)
            : TiktokenFile.Recognises(bytes) ? OfRanks(TiktokenFile.Parse(bytes, file), file)
            : bytes.AsSpan().StartsWith("[PAD]"u8) ? new WordPieceTokenizer(VocabularyFile.Lines(bytes, file), location.AddedTokens, file)
            : OfPieces(SentencePieceModel.Parse(bytes, file), file, location, ice);
    }

    private static ByteLevelTokenizer OfRanks(byte[][] tokens, string file) =>
        new(VocabularyKind.Glm4, ByteVocabulary.OfRanks(tokens, file), SplitPattern.Glm4, KnownSpecials.Glm4(tokens.Length));

    private static Tokenizer OfJson(byte[] bytes, string file, TokenizerLocation location)
    {
        var json = VocabularyFile.Json(bytes, file);
        if (TokenizerJson.Recognises(json)) return TokenizerJson.Create(json, file);
        var tokens = VocabularyFile.Ids(json, file);
        var (kind, special) = tokens.GetValueOrDefault("</s>") == 2 && tokens.GetValueOrDefault("<pad>") == 1
            ? location.ModelType == "glm" || location.IsNamed("glm") ? (VocabularyKind.GlmRoberta, KnownSpecials.GlmRoberta(tokens.Count, location.AddedTokens)) : (VocabularyKind.Opt, KnownSpecials.Opt())
            : tokens.TryGetValue("<|endoftext|>", out int end) && end == tokens.Count - 1 ? (VocabularyKind.GlmGpt2, KnownSpecials.GlmGpt2(tokens.Count, location.AddedTokens))
            : throw new GlmException($"{file}: expected the vocabulary of GPT-2 ({Gpt2Tokens} tokens) or OPT ({RobertaTokens}), found another with {tokens.Count}");
        var merges = MergesFile.Read(Path.Combine(location.Folder, MergesFile.Name));
        return new ByteLevelTokenizer(kind, ByteVocabulary.OfMerges(tokens, merges, file), SplitPattern.Gpt2, special);
    }

    private static Tokenizer OfPieces(SentencePieceModel model, string file, TokenizerLocation location, IceOptions? ice)
    {
        int count = model.Pieces.Count;
        bool bpe = model.Trainer.ModelType == SentencePieceAlgorithm.Bpe;
        if (GlmTokenizer.Recognises(model)) return new GlmTokenizer(model, file);
        if (count == ChatGlmPieces && location.ChatGlmImageTokens is { } imageTokens) return new ChatGlmTokenizer(model, imageTokens, file);
        if (IceTokenizer.Recognises(model)) return new IceTokenizer(model, ice, file);
        if (bpe && count == GlmChinesePieces) return new AppendedTokenizer(model, VocabularyKind.GlmChinese, KnownSpecials.GlmChinese(count, location.AddedTokens), file);
        // ChatGLM3 only adds tokens, so it is the one where nothing tells them apart.
        if (bpe && (count == ChatGlm2Pieces || location.ModelType == "chatglm"))
            return AppendedTokenizer.ChatGlm(model, location.IsNamed("chatglm2") || location.IsNamed("codegeex2") ? VocabularyKind.ChatGlm2 : VocabularyKind.ChatGlm3, file);
        throw new GlmException($"{file}: expected the vocabulary of GLM-130B (icetk), of a ChatGLM, of a Chinese GLM, or one trained by Glm.NET, found another SentencePiece model with {count} pieces");
    }
}
