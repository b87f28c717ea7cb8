using System.IO.Compression;
using Glm.Tensors;
using Glm.Tests;
using static Glm.Formats.Tests.TorchArchive;

namespace Glm.Formats.Tests;

/// <summary>PyTorch files: those of the original, those we write, and pickles put together by hand.</summary>
public sealed class TorchTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-formats").FullName;

    private string Target => Path.Combine(_folder, "a.pt");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Every shard that has a mirror holds the same names, types, shapes and bytes.</summary>
    [WholeReferenceFact]
    public void The_originals_files_are_read()
    {
        string checkpoints = Path.Combine(TestFiles.Reference, "glm130b-tiny-checkpoints");
        string[] mirrors = Directory.GetFiles(Path.Combine(checkpoints, "mirror"), "*.safetensors");
        Assert.NotEmpty(mirrors);
        foreach (string mirror in mirrors)
        {
            string[] parts = Path.GetFileName(mirror).Split('.');
            string file = Assert.Single(Directory.GetFiles(Path.Combine(checkpoints, parts[0]), $"{parts[1]}_model_states.pt", SearchOption.AllDirectories));
            var (expected, found) = (SafetensorsFile.Open(mirror), TorchFile.Open(file, "module"));
            Assert.Equal(expected.Names.Order(), found.Names.Order());
            foreach (string name in expected.Names)
            {
                Assert.Equal(expected[name].ToString(), found[name].ToString());
                Assert.Equal(expected.FindInfo(name)!.Bytes, found.FindInfo(name)!.Bytes);
                Assert.True(Raw(expected[name]).SequenceEqual(Raw(found[name])), $"{file}: {name}");
            }
            Assert.Equal(found.Names.Select(name => "module." + name), TensorStore.Open(file).Names);
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData("module")]
    public void What_is_written_is_read_back(string? root)
    {
        var tensors = new List<(string Name, Tensor Tensor)>
        {
            ("floats", Filled(DType.Float32, 2, 3)), ("half", Filled(DType.Float16, 3)), ("bf", Filled(DType.BFloat16, 1, 1, 5)), ("truth", Filled(DType.Bool, 3)),
            ("scalar", Filled(DType.Int64)), ("empty", Filled(DType.Float32, 0, 4)), ("i32", Filled(DType.Int32, 2)), ("bytes", Filled(DType.Int8, 3, 5)), ("u8", Filled(DType.UInt8, 7)),
        };
        TorchWriter.Write(Target, [.. tensors.Select(t => new TensorEntry(t.Name, t.Tensor.Type, t.Tensor.Shape.ToArray(), () => t.Tensor))], root);
        var file = root is null ? TorchFile.Open(Target) : TorchFile.Open(Target, root);
        Assert.Equal(tensors.Select(t => t.Name), file.Names);
        foreach (var (name, tensor) in tensors)
        {
            Assert.Equal(tensor.ToString(), file[name].ToString());
            Assert.Equal(Raw(tensor), Raw(file[name]));
        }
        // Another implementation reads the archive and finds the sums right; every record is aligned.
        using var zip = ZipFile.OpenRead(Target);
        Assert.Equal(tensors.Count + 2, zip.Entries.Count);
        byte[] whole = File.ReadAllBytes(Target);
        foreach (var entry in zip.Entries)
        {
            using var data = entry.Open();
            using var copy = new MemoryStream();
            data.CopyTo(copy);
            if (copy.Length >= 6) Assert.Equal(0, whole.AsSpan().IndexOf(copy.ToArray()) % 64);
        }
        Assert.Equal([Target], Directory.GetFiles(_folder));
    }

    [Fact]
    public void Packed_4_bit_integers_are_stored_as_bytes_and_blocks_are_refused()
    {
        Write(("w", Filled(DType.Int4, 3, 6)));
        Assert.Equal("Int8 [3, 3]", TorchFile.Open(Target)["w"].ToString());
        byte[] old = File.ReadAllBytes(Target);
        Assert.Contains("w: expected a type that PyTorch has, found Q8_0", Assert.Throws<GlmException>(() => Write(("w", Filled(DType.Q8_0, 1, 32)))).Message);
        Assert.Contains("w again", Assert.Throws<GlmException>(() => Write(("w", Filled(DType.Int8, 1)), ("w", Filled(DType.Int8, 1)))).Message);
        Assert.Throws<OperationCanceledException>(() => TorchWriter.Write(Target, [new TensorEntry("w", DType.Int8, [1], () => Filled(DType.Int8, 1))], cancel: new CancellationToken(true)));
        Assert.Equal(old, File.ReadAllBytes(Target));
    }

    [Fact]
    public void The_checksum_is_the_one_of_zip()
    {
        Assert.Equal(0xCBF43926u, Crc32.Append(0, "123456789"u8));
        Assert.Equal(0xCBF43926u, Crc32.Append(Crc32.Append(0, "1234"u8), "56789"u8));
        Assert.Equal(Crc32.Append(0, new byte[17]), Enumerable.Range(0, 17).Aggregate(0u, (crc, _) => Crc32.Append(crc, [0])));
    }

    [Fact]
    public void Names_are_paths_through_dicts_lists_and_tuples()
    {
        var parameter = (byte[])[.. Global("torch._utils", "_rebuild_parameter"), .. Op("("), .. Vector("0", 2), .. Op("\x88"), .. Global("collections", "OrderedDict"), .. Op(")RtR")];
        var state = (byte[])[.. Global("collections", "OrderedDict"), .. Op(")R("), .. Text("p"), .. parameter, .. Op("u}"), .. Text("_metadata"), .. Global("collections", "OrderedDict"), .. Op(")Rsb")];
        var file = Open(new TorchArchive().Storage("0", 1, 2).Storage("1", 3).Add("byteorder", "little"u8.ToArray()).Pickle(Op("}("),
            Text("model"), state,
            Text("list"), Op("](K\x01"), Vector("1", 1), Op("e"),
            Text("pair"), Vector("0", 2), Op("N\x86"),
            Integer(7), Dict(("avg", Vector("1", 1))),
            Text("epoch"), Op("K\x05"), Text("rate"), Op("G\0\0\0\0\0\0\0\0"), Text("name"), Text("väl"), Text("flag"), Op("\x88"), Text("none"), Op("N"), Text("big"), Op("\x8a\x01\xff"),
            Op("u")));
        Assert.Equal(["model.p", "list.1", "pair.0", "7.avg"], file.Names);
        Assert.Equal([1, 2], file["model.p"].ToArray());
        Assert.Equal([3], file["7.avg"].ToArray());
        Assert.Equal(["p"], TorchFile.Open(Target, "model").Names);
        Assert.Contains("under the key module", Assert.Throws<GlmException>(() => TorchFile.Open(Target, "module")).Message);
    }

    /// <summary>Views of one storage: all of it, parts, transposed, with steps, repeated.</summary>
    [Fact]
    public void Views_are_copied_out_in_the_order_of_their_shape()
    {
        var file = Open(new TorchArchive().Storage("0", 0, 1, 2, 3, 4, 5).Pickle(Dict(
            ("whole", View("FloatStorage", "0", 6, 0, [2, 3], [3, 1])), ("row", View("FloatStorage", "0", 6, 3, [1, 3], [99, 1])),
            ("transposed", View("FloatStorage", "0", 6, 0, [3, 2], [1, 3])), ("column", View("FloatStorage", "0", 6, 1, [2], [3])),
            ("expanded", View("FloatStorage", "0", 6, 5, [2, 2], [0, 0])), ("scalar", View("FloatStorage", "0", 6, 4, [], [])), ("none", View("FloatStorage", "0", 6, 6, [0, 7], [7, 1])),
            ("windows", View("FloatStorage", "0", 6, 0, [3, 2, 2], [1, 2, 1])))));
        Assert.Equal([0, 1, 2, 3, 4, 5], file["whole"].ToArray());
        Assert.Equal([3, 4, 5], file["row"].ToArray());
        Assert.Equal([0, 3, 1, 4, 2, 5], file["transposed"].ToArray());
        Assert.Equal([1, 4], file["column"].ToArray());
        Assert.Equal([5, 5, 5, 5], file["expanded"].ToArray());
        Assert.Equal([4], file["scalar"].ToArray());
        Assert.Equal("Float32 [0, 7]", file["none"].ToString());
        Assert.Equal([0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5], file["windows"].ToArray());
    }

    [Fact]
    public void Every_type_is_read_at_any_alignment()
    {
        // Without padding, records begin anywhere.
        for (int shift = 0; shift < 8; shift++)
        {
            var file = Open(new TorchArchive { Folder = new string('a', 1 + shift) }
                .Add("data/0", BitConverter.GetBytes(0.1)).Add("data/1", [0, 0x3c]).Add("data/2", [0x80, 0xbf]).Add("data/3", BitConverter.GetBytes(-7L)).Add("data/4", BitConverter.GetBytes(-8))
                .Add("data/5", 0xff).Add("data/6", 0xff).Add("data/7", 1).Add("data/8", 1, 2).Storage("9", 0.5f)
                .Pickle(Dict([.. new[] { "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage", "CharStorage", "ByteStorage", "BoolStorage", "ShortStorage", "FloatStorage" }
                    .Select((type, i) => (type, View(type, $"{i}", 1, 0, [1], [1])))])));
            Assert.Equal([0.1f], file["DoubleStorage"].ToArray());
            Assert.Equal(("DoubleStorage", DType.Float32, 8L), (file.FindInfo("DoubleStorage")!.StoredAs, file.FindInfo("DoubleStorage")!.Type, file.FindInfo("DoubleStorage")!.Bytes));
            Assert.Equal(1, file["HalfStorage"].ToArray()[0]);
            Assert.Equal(-1, file["BFloat16Storage"].ToArray()[0]);
            Assert.Equal(-7, file["LongStorage"].ToArray()[0]);
            Assert.Equal(-8, file["IntStorage"].ToArray()[0]);
            Assert.Equal(-1, file["CharStorage"].ToArray()[0]);
            Assert.Equal([255], Raw(file["ByteStorage"]));
            Assert.Equal(1, file["BoolStorage"].ToArray()[0]);
            Assert.Equal(0.5f, file["FloatStorage"].ToArray()[0]);
            Assert.Contains("ShortStorage: expected one of the types FloatStorage", Assert.Throws<GlmException>(() => file["ShortStorage"]).Message);
        }
    }

    public static TheoryData<string, byte[], string> Hostile => new()
    {
        { "system", [.. Global("os", "system"), .. Op("("), .. Text("touch executed"), .. Op("tR")], "found the name os.system" },
        { "eval", Global("builtins", "eval"), "found the name builtins.eval" },
        { "getattr", Dict(("w", Global("torch", "load"))), "found the name torch.load" },
        { "call a tensor", Dict(("w", [.. Vector("0", 2), .. Op(")R")])), "expected a function, found" },
        { "call text", [.. Text("os.system"), .. Op(")R")], "expected a function, found String" },
        { "new object", [.. Global("collections", "OrderedDict"), .. Op(")\x81")], "expected an opcode of a dict of tensors, found 0x81" },
        { "inst", Op("(ios\nsystem\n"), "found 0x69" },
        { "frame", Op("\x95\0\0\0\0\0\0\0\0"), "found 0x95" },
        { "holds itself", [.. Op("}q\0"), .. Text("a"), .. Op("h\0s")], "nested at most 64 deep, found deeper ones" },
        { "list holds itself", Op("]q\0h\0a"), "nested at most 64 deep" },
        { "held many times", [.. Op("(]q\0"), .. Enumerable.Range(1, 40).SelectMany(i => Op($"]q{(char)i}(h{(char)(i - 1)}h{(char)(i - 1)}e")), .. Op("t")], "each dict of tensors once" },
        { "deep tuples", [.. Vector("0", 2), .. Enumerable.Repeat((byte)0x85, 100_000)], "nested at most 64 deep" },
        { "marks alone", Enumerable.Repeat((byte)'(', 100_000).ToArray(), "one value at the end" },
        { "below a mark", Op("}N(s"), "too few values" },
        { "empty stack", Op("s"), "too few values" },
        { "unknown memo", Op("h\x07"), "a value remembered as 7" },
        { "long text", Op("X\xff\xff\xff\xff"), "4294967295 bytes" },
        { "negative length", Op("X\0\0\0\x80"), "2147483648 bytes" },
        { "long integer", [0x8a, 9, .. new byte[9]], "integers of at most 8 bytes" },
        { "no UTF-8", Op("X\x01\0\0\0\xff"), "UTF-8" },
        { "endless name", [(byte)'c', .. Enumerable.Repeat((byte)'a', 300)], "a name of at most 256 bytes" },
        { "key without value", Op("}(Nu"), "keys and values in pairs" },
        { "append to dict", Op("}Na"), "a list to add to" },
        { "attributes of a list", Op("]Nb"), "a dict to give attributes to" },
        { "a number", Op("K\x01"), "expected a dict of tensors, found 1" },
        { "None", Op("N"), "expected a dict of tensors, found None" },
        { "a tensor alone", Vector("0", 2), "expected a dict of tensors, found a tensor" },
        { "twice", Dict(("a.b", Vector("0", 2)), ("a", Dict(("b", Vector("0", 2))))), "a.b: expected each tensor once" },
        { "key of another kind", [.. Op("}"), .. Tuple(1), .. Vector("0", 2), .. Op("s")], "text or integers as keys" },
        { "no such storage", Dict(("w", Vector("7", 2))), "storage 7: expected its record" },
        { "too many elements", Dict(("w", Vector("0", 3))), "storage 0: expected 2 elements of FloatStorage in 8 bytes, found 3" },
        { "wrong element type", Dict(("w", View("DoubleStorage", "0", 2, 0, [2], [1]))), "storage 0: expected 1 elements of DoubleStorage" },
        { "beyond the storage", Dict(("w", View("FloatStorage", "0", 2, 1, [2], [1]))), "expected elements below 2, found [2] from 1 on" },
        { "huge stride", Dict(("w", View("FloatStorage", "0", 2, 0, [3], [long.MaxValue]))), "expected elements below 2" },
        { "negative stride", Dict(("w", View("FloatStorage", "0", 2, 1, [2], [-1]))), "strides from 0 on, found -1" },
        { "negative offset", Dict(("w", View("FloatStorage", "0", 2, -1, [1], [1]))), "expected elements below 2" },
        { "negative size", Dict(("w", View("FloatStorage", "0", 2, 0, [-1], [1]))), "dimensions from 0" },
        { "huge size", Dict(("w", View("FloatStorage", "0", 2, 0, [1L << 31], [0]))), "dimensions from 0" },
        { "repeated without end", Dict(("w", View("FloatStorage", "0", 2, 0, [int.MaxValue, int.MaxValue, int.MaxValue, int.MaxValue], [0, 0, 0, 0]))), "at most 4194304 elements" },
        { "too few strides", Dict(("w", View("FloatStorage", "0", 2, 0, [2, 1], [1]))), "as many strides" },
        { "no storage", [.. Global("torch._utils", "_rebuild_tensor_v2"), .. Op("(NtR")], "expected a storage" },
        { "no persistent id", Op("NQ"), "persistent id: expected ('storage'" },
        { "other persistent id", Op(")Q"), "found another tuple" },
        { "arguments of a dict", [.. Global("collections", "OrderedDict"), .. Tuple(1), .. Op("R")], "OrderedDict: expected no arguments" },
        { "parameter of nothing", [.. Global("torch._utils", "_rebuild_parameter"), .. Op(")R")], "_rebuild_parameter: expected a tensor, found None" },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void A_hostile_pickle_is_refused(string what, byte[] opcodes, string reason)
    {
        Assert.NotEmpty(what);
        string message = Refused(new TorchArchive().Storage("0", 1, 2).Pickle(opcodes));
        Assert.Contains(reason, message);
    }

    [Fact]
    public void What_torch_does_not_write_is_refused()
    {
        byte[] pickle = Dict(("w", Vector("0", 2)));
        Assert.Contains("an uncompressed record", Refused(new TorchArchive { Compression = CompressionLevel.Optimal }.Storage("0", 1, 2).Pickle(pickle)));
        Assert.Contains("one record NAME/data.pkl in the archive, found 0", Refused(new TorchArchive().Storage("0", 1, 2)));
        Assert.Contains("found 0", Refused(new TorchArchive { Folder = "a/b" }.Storage("0", 1, 2).Pickle(pickle)));
        Assert.Contains("archive/data/0: expected each record once", Refused(new TorchArchive().Storage("0", 1, 2).Storage("0", 1, 2).Pickle(pickle)));
        Assert.Contains("byteorder: expected little, found big", Refused(new TorchArchive().Add("byteorder", "big"u8.ToArray()).Storage("0", 1, 2).Pickle(pickle)));
        Assert.Contains("data.pkl, byte 2: expected a pickle of protocol 2", Refused(new TorchArchive().Add("data.pkl", 0x80, 4, (byte)'}', (byte)'.')));
        Assert.Contains("archive/data.pkl: expected at most 33554432 bytes", Refused(new TorchArchive().Add("data.pkl", new byte[(1 << 25) + 1])));
        File.WriteAllBytes(Target, [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20]);
        Assert.Contains("found an older one", Assert.Throws<GlmException>(() => TensorStore.Open(Target)).Message);
    }

    [Fact]
    public void Directories_of_files_are_read_by_their_index_or_as_a_whole()
    {
        const string shard1 = "pytorch_model-00001-of-00002.bin", shard2 = "pytorch_model-00002-of-00002.bin";
        File.WriteAllBytes(Path.Combine(_folder, shard1), new TorchArchive().Storage("0", 1, 2).Pickle(Dict(("a", Vector("0", 2)))).ToArray());
        File.WriteAllBytes(Path.Combine(_folder, shard2), new TorchArchive().Storage("0", 3).Pickle(Dict(("b", Vector("0", 1)))).ToArray());
        File.WriteAllText(Path.Combine(_folder, "training_args.bin"), "something else");
        Assert.Equal(["a", "b"], TensorStore.Open(_folder).Names);
        File.WriteAllText(Path.Combine(_folder, "pytorch_model.bin.index.json"), $$"""{"weight_map": {"a": "{{shard1}}", "b": "{{shard2}}"} }""");
        Assert.Equal([3], TensorStore.Open(_folder)["b"].ToArray());
        File.WriteAllText(Path.Combine(_folder, "pytorch_model.bin.index.json"), $$"""{"weight_map": {"a": "{{shard2}}", "b": "{{shard2}}"} }""");
        Assert.Contains("index.json: a: expected it in " + shard2, Assert.Throws<GlmException>(() => TensorStore.Open(_folder)).Message);
    }

    private TorchFile Open(TorchArchive archive)
    {
        File.WriteAllBytes(Target, archive.ToArray());
        return TorchFile.Open(Target);
    }

    private string Refused(TorchArchive archive)
    {
        File.WriteAllBytes(Target, archive.ToArray());
        string message = Assert.Throws<GlmException>(() => TorchFile.Open(Target)).Message;
        Assert.StartsWith(Target, message);
        return message;
    }

    private void Write(params (string Name, Tensor Tensor)[] tensors) =>
        TorchWriter.Write(Target, [.. tensors.Select(t => new TensorEntry(t.Name, t.Tensor.Type, t.Tensor.Shape.ToArray(), () => t.Tensor))]);

    private static Tensor Filled(DType type, params int[] shape)
    {
        var tensor = Tensor.Allocate(type, shape);
        byte[] bytes = new byte[tensor.Bytes];
        new Random(7).NextBytes(bytes);
        tensor.CopyBytesFrom(bytes);
        return tensor;
    }

    private static byte[] Raw(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyBytesTo(bytes);
        return bytes;
    }
}
